//! How evenly a node's CPU and memory are used.

use super::score::MAX;

/// (1 - standard deviation of the used shares) × MAX, of (allocatable, requested) each. Shares are capped at 1; a
/// resource the node lacks is left out.
pub fn balance(cpu: (i64, i64), memory: (i64, i64)) -> i32 {
    let deviation = if cpu.0 == 0 || memory.0 == 0 {
        0.0
    } else {
        ((share(cpu) - share(memory)) / 2.0).abs()
    };
    ((1.0 - deviation) * f64::from(MAX)) as i32
}

/// The used share of a resource, at most 1.
pub fn share((allocatable, requested): (i64, i64)) -> f64 {
    (requested as f64 / allocatable as f64).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearer_the_shares_the_better() {
        assert_eq!(balance((10, 5), (20, 10)), 100);
        assert_eq!(balance((10, 0), (10, 10)), 50);
        assert_eq!(balance((10, 0), (10, 90)), 50);
        assert_eq!(balance((0, 0), (10, 9)), 100);
        assert_eq!(balance((3, 1), (3, 2)), 83);
    }
}
