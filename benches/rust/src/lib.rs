//! One way to write a benchmark, two to take its figure: criterion times it, and under valgrind its instructions are
//! counted, which a busy machine does not change.

pub mod count;
pub mod objects;

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput};

/// Benchmarks of one file. Counted where valgrind runs this, else timed.
pub struct Suite {
    timed: Option<Criterion>,
}

impl std::fmt::Debug for Suite {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let counted = self.timed.is_none();
        formatter
            .debug_struct("Suite")
            .field("counted", &counted)
            .finish()
    }
}

impl Suite {
    /// As the command line says (criterion's).
    pub fn new() -> Suite {
        let timed = (!count::is_possible()).then(|| Criterion::default().configure_from_args());
        Suite { timed }
    }

    /// `run`s on what `setup` makes, which does not count; its work is `units` (objects, deliveries, …).
    pub fn bench<S, R>(
        &mut self,
        name: &str,
        units: u64,
        mut setup: impl FnMut() -> S,
        mut run: impl FnMut(&mut S) -> R,
    ) {
        match &mut self.timed {
            Some(criterion) => {
                let mut group = criterion.benchmark_group(name);
                group.throughput(Throughput::Elements(units));
                group.bench_function("time", |bencher| {
                    bencher.iter_batched_ref(&mut setup, &mut run, BatchSize::LargeInput)
                });
                group.finish();
            }
            None => {
                black_box(run(&mut setup())); // what is made at the first use does not count
                let mut state = setup();
                let made = count::counted(name, || black_box(run(&mut state)));
                drop(made);
                println!("{name}\t{units}");
            }
        }
    }
}

impl Default for Suite {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Suite {
    fn drop(&mut self) {
        if let Some(criterion) = &self.timed {
            criterion.final_summary();
        }
    }
}
