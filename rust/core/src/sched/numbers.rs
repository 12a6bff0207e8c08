//! A column of numbers that others may hold on to: whoever does keeps it as it was then, and no number is copied until
//! the column changes under them.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// One number a slot.
#[derive(Clone, Default)]
pub struct Numbers(Arc<Vec<i64>>);

impl Numbers {
    /// Makes room for so many slots; new ones hold zero.
    pub fn resize(&mut self, slots: usize) {
        Arc::make_mut(&mut self.0).resize(slots, 0);
    }
}

impl Deref for Numbers {
    type Target = [i64];

    fn deref(&self) -> &[i64] {
        &self.0
    }
}

impl DerefMut for Numbers {
    fn deref_mut(&mut self) -> &mut [i64] {
        Arc::make_mut(&mut self.0).as_mut_slice()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_keeps_what_it_took() {
        let mut column = Numbers::default();
        column.resize(2);
        let before = column.as_ptr();
        column[1] = 5;
        assert_eq!(column.as_ptr(), before);
        let held = column.clone();
        assert_eq!(held.as_ptr(), before);
        column[1] = 6;
        assert_eq!((held[1], column[1]), (5, 6));
    }
}
