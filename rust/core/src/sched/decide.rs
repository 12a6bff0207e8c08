//! The choice of a node: filters, scores, the best, and by lot among equals.

use std::ops::Range;
use std::sync::{Arc, Weak};

use hashbrown::HashMap;

use super::filter::{self, ABSENT, FEASIBLE, HELD, OUTSIDE, Verdict};
use super::nominated::{self, Held};
use super::open::{Say, say};
use super::pods::Subject;
use super::profile::ProfileId;
use super::refusal::Refusal;
use super::score::Score;
use super::spec::Spec;
use super::table::Table;

/// A total that no feasible node can have, low enough that adding scores to it changes nothing.
const INFEASIBLE: i32 = i32::MIN / 2;

/// Node evaluations kept over all specs; each takes some five bytes. At 5,000 nodes this is room for 400 specs.
const KEPT_EVALUATIONS: usize = 2 << 20;
/// Specs kept at least, however many nodes there are.
const KEPT_SPECS: usize = 4;
/// Slots whose best total is kept as one: a change costs one pass over so many, a choice one look at each block.
const BLOCK: usize = 64;

/// Seeded chance: SplitMix64 (Steele, Lea, Flood 2014), small enough to be written down twice.
pub struct Lot(u64);

impl Lot {
    /// The same seed gives the same lots.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number from 0 to `ends` - 1.
    pub fn draw(&mut self, ends: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        ((u128::from(z) * ends as u128) >> 64) as usize
    }
}

/// What is known of every node for the pods of one spec.
#[derive(Default)]
struct Evaluation {
    spec: Weak<Spec>,
    /// The table's sequence at which this holds.
    sequence: u64,
    /// When it was last asked for.
    used: u64,
    verdicts: Vec<Verdict>,
    /// The weighted sum of the scores that need no normalizing; INFEASIBLE where the verdict says so.
    base: Vec<i32>,
    /// The highest base of each `BLOCK` slots, and how many of them have it.
    blocks: Vec<(i32, u32)>,
    /// How many nodes are feasible.
    feasible: usize,
    /// Raw local scores that need it, each with its weight.
    raw: Vec<(&'static dyn Score, i32, Vec<i32>)>,
}

/// What evaluations are kept by: the profile, and the address of the spec.
type Kind = (ProfileId, usize);

/// Chooses nodes, and keeps evaluations between choices.
pub struct Decider {
    lot: Lot,
    clock: u64,
    kept: HashMap<Kind, Evaluation>,
    verdicts: Vec<Verdict>,
    totals: Vec<i32>,
    scores: Vec<i32>,
}

/// The outcome of a choice.
pub struct Choice {
    /// The chosen slot.
    pub slot: Option<usize>,
    /// How many nodes were feasible.
    pub feasible: usize,
}

impl Decider {
    /// A decider whose lots follow from `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            lot: Lot::new(seed),
            clock: 0,
            kept: HashMap::new(),
            verdicts: Vec::new(),
            totals: Vec::new(),
            scores: Vec::new(),
        }
    }

    /// The best node for `subject`; of several, one by lot in the order of their slots. The node that it is nominated
    /// for comes before all others. `held` are nodes that others are nominated for.
    pub fn choose(
        &mut self,
        table: &Table,
        spec: &Arc<Spec>,
        subject: &Subject,
        held: &[Held],
        said: Say,
    ) -> Choice {
        let evaluation = Self::evaluated(&mut self.kept, &mut self.clock, table, spec, subject);
        let everywhere = table.nodes.all();
        let checks = filter::prepare(table, subject);
        // What is kept is copied only where something is to be added to it.
        let (mut verdicts, mut totals) = (&evaluation.verdicts, &evaluation.base);
        let narrowed = !checks.is_empty() || !held.is_empty() || !said.allowed.is_empty();
        if narrowed {
            self.verdicts.clone_from(verdicts);
            filter::run_cluster(&checks, everywhere.clone(), &mut self.verdicts);
            for node in held {
                self.verdicts[node.slot as usize] = HELD;
            }
            for (verdict, allowed) in self.verdicts.iter_mut().zip(said.allowed) {
                if *verdict != ABSENT && *allowed == say::REFUSED {
                    *verdict = OUTSIDE;
                }
            }
            verdicts = &self.verdicts;
        }
        let feasible = if narrowed {
            count_feasible(verdicts)
        } else {
            evaluation.feasible
        };
        if feasible == 0 {
            if !narrowed {
                self.verdicts.clone_from(&evaluation.verdicts);
            }
            return Choice {
                slot: None,
                feasible,
            };
        }
        let nominated = subject.nominated.and_then(|name| table.nodes.find(name));
        if let Some(slot) = nominated.filter(|&slot| verdicts[slot as usize] == FEASIBLE) {
            return Choice {
                slot: Some(slot as usize),
                feasible: 1,
            };
        }
        let raw = evaluation
            .raw
            .iter()
            .map(|(score, weight, raw)| (*score, *weight, Some(raw)));
        let global = subject
            .profile
            .scores
            .iter()
            .filter(|(score, _)| !score.local() && !score.skips(table, subject));
        let mut added = narrowed;
        self.totals.clear();
        for (score, weight, raw) in raw.chain(global.map(|(score, weight)| (*score, *weight, None)))
        {
            match raw {
                Some(raw) => self.scores.clone_from(raw),
                None => {
                    self.scores.clear();
                    self.scores.resize(verdicts.len(), 0);
                    score.score(
                        table,
                        subject,
                        everywhere.clone(),
                        verdicts,
                        &mut self.scores,
                    );
                }
            }
            added = true;
            start(&mut self.totals, &evaluation.base);
            score.normalize(verdicts, &mut self.scores);
            for (total, score_of) in self.totals.iter_mut().zip(&self.scores) {
                *total += weight * *score_of;
            }
        }
        if !said.extra.is_empty() {
            added = true;
            start(&mut self.totals, &evaluation.base);
            for (total, extra) in self.totals.iter_mut().zip(said.extra) {
                *total = total.saturating_add(*extra);
            }
        }
        if added {
            start(&mut self.totals, &evaluation.base);
            for (total, verdict) in self.totals.iter_mut().zip(verdicts) {
                *total = if *verdict == FEASIBLE {
                    *total
                } else {
                    INFEASIBLE
                };
            }
            totals = &self.totals;
        }
        let slot = if added {
            best(totals, &mut self.lot)
        } else {
            evaluation.best(&mut self.lot)
        };
        debug_assert!(slot.is_some_and(|slot| verdicts[slot] == FEASIBLE));
        Choice { slot, feasible }
    }

    /// The verdict on every slot, without a choice.
    pub fn judge(
        &mut self,
        table: &Table,
        spec: &Arc<Spec>,
        subject: &Subject,
        held: &[Held],
    ) -> &[Verdict] {
        let evaluation = Self::evaluated(&mut self.kept, &mut self.clock, table, spec, subject);
        self.verdicts.clone_from(&evaluation.verdicts);
        let checks = filter::prepare(table, subject);
        filter::run_cluster(&checks, table.nodes.all(), &mut self.verdicts);
        for node in held {
            self.verdicts[node.slot as usize] = HELD;
        }
        &self.verdicts
    }

    /// The verdict on every slot in the last choice, where it was that no node is feasible.
    pub fn verdicts(&self) -> &[Verdict] {
        &self.verdicts
    }

    /// The evaluation of a spec, brought up to date.
    fn evaluated<'k>(
        kept: &'k mut HashMap<Kind, Evaluation>,
        clock: &mut u64,
        table: &Table,
        spec: &Arc<Spec>,
        subject: &Subject,
    ) -> &'k Evaluation {
        *clock += 1;
        let key = (subject.profile.id, Arc::as_ptr(spec) as usize);
        if !kept.contains_key(&key) {
            make_room(kept, table.nodes.slots());
        }
        let evaluation = kept.entry(key).or_default();
        // A weak pointer keeps its address from being used again, so an equal key is the same spec.
        let known = evaluation.spec.strong_count() > 0;
        evaluation.used = *clock;
        match table.changes(evaluation.sequence).filter(|_| known) {
            Some(slots) => {
                evaluation.grow(table.nodes.slots());
                for &slot in slots {
                    evaluation.evaluate(table, subject, slot as usize..slot as usize + 1);
                }
            }
            None => {
                evaluation.start(table, spec, subject);
                evaluation.evaluate(table, subject, table.nodes.all());
            }
        }
        evaluation.sequence = table.sequence();
        evaluation
    }
}

/// What was found for a pod that waits; nothing is changed by it.
pub enum Considered {
    /// The slot to place it on, and how many are feasible.
    Placed(usize, usize),
    /// No node is feasible.
    Refused(Refusal),
}

/// Considers every node for `subject`, whose spec is `spec`, and preemption where none is feasible.
pub fn consider(
    table: &mut Table,
    decider: &mut Decider,
    spec: &Arc<Spec>,
    subject: &Subject,
    said: Say,
) -> Considered {
    if filter::prefilter(subject).is_some() {
        return Considered::Refused(Refusal::of_pod(table, subject));
    }
    let held = nominated::held(table, subject);
    let choice = decider.choose(table, spec, subject, &held, said);
    match choice.slot {
        Some(slot) => Considered::Placed(slot, choice.feasible),
        None => Considered::Refused(Refusal::gather(
            table,
            subject,
            &decider.verdicts,
            &held,
            said,
        )),
    }
}

/// Lets `totals` start from `base`, if they have not started.
fn start(totals: &mut Vec<i32>, base: &[i32]) {
    if totals.is_empty() {
        totals.extend_from_slice(base);
    }
}

/// Drops what belongs to no pod any more, and then what was not asked for longest.
fn make_room(kept: &mut HashMap<Kind, Evaluation>, slots: usize) {
    let limit = (KEPT_EVALUATIONS / slots.max(1)).max(KEPT_SPECS);
    if kept.len() < limit {
        return;
    }
    kept.retain(|_, evaluation| evaluation.spec.strong_count() > 0);
    if kept.len() >= limit {
        let mut used: Vec<u64> = kept.values().map(|evaluation| evaluation.used).collect();
        used.sort_unstable();
        let oldest = used[used.len() / 2];
        kept.retain(|_, evaluation| evaluation.used > oldest);
    }
}

impl Evaluation {
    fn start(&mut self, table: &Table, spec: &Arc<Spec>, subject: &Subject) {
        self.spec = Arc::downgrade(spec);
        let scores = subject.profile.scores.iter().copied();
        self.raw = scores
            .filter(|(s, _)| {
                s.local()
                    && s.normalizes()
                    && !s.skips(table, subject)
                    && !s.indifferent(table, subject)
            })
            .map(|(s, weight)| (s, weight, Vec::new()))
            .collect();
        self.grow(table.nodes.slots());
    }

    fn grow(&mut self, slots: usize) {
        self.verdicts.resize(slots, filter::ABSENT);
        self.base.resize(slots, INFEASIBLE);
        self.blocks.resize(slots.div_ceil(BLOCK), (INFEASIBLE, 0));
        for (_, _, raw) in &mut self.raw {
            raw.resize(slots, 0);
        }
    }

    fn evaluate(&mut self, table: &Table, subject: &Subject, range: Range<usize>) {
        let verdicts = &mut self.verdicts[range.clone()];
        if self.feasible > 0 {
            self.feasible -= count_feasible(verdicts);
        }
        filter::run_node(table, subject, range.clone(), verdicts);
        self.feasible += count_feasible(verdicts);
        let base = &mut self.base[range.clone()];
        for (base, verdict) in base.iter_mut().zip(&*verdicts) {
            *base = if *verdict == FEASIBLE { 0 } else { INFEASIBLE };
        }
        let mut scores = vec![0; range.len()];
        let plain = subject.profile.scores.iter().filter(|(s, _)| {
            s.local()
                && !s.normalizes()
                && !s.skips(table, subject)
                && !s.indifferent(table, subject)
        });
        for (score, weight) in plain {
            score.score(table, subject, range.clone(), verdicts, &mut scores);
            // Nobody writes the score of a node that is not feasible: it stays 0.
            for (base, score_of) in base.iter_mut().zip(&scores) {
                *base += weight * *score_of;
            }
        }
        for (score, _, raw) in &mut self.raw {
            score.score(
                table,
                subject,
                range.clone(),
                verdicts,
                &mut raw[range.clone()],
            );
        }
        for block in range.start / BLOCK..range.end.div_ceil(BLOCK) {
            let end = (block * BLOCK + BLOCK).min(self.base.len());
            self.blocks[block] = highest(&self.base[block * BLOCK..end]);
        }
    }

    /// What `best` says of the bases.
    fn best(&self, lot: &mut Lot) -> Option<usize> {
        let top = self.blocks.iter().map(|(highest, _)| *highest).max()?;
        let tops = self.blocks.iter().enumerate();
        let tops = tops.filter(|(_, (highest, _))| *highest == top);
        let ties: usize = tops.clone().map(|(_, (_, ties))| *ties as usize).sum();
        let mut chosen = if ties == 1 { 0 } else { lot.draw(ties) };
        for (block, &(_, ties)) in tops {
            if chosen < ties as usize {
                let slots = self.base.iter().enumerate().skip(block * BLOCK);
                return slots
                    .filter(|(_, of)| **of == top)
                    .nth(chosen)
                    .map(|(s, _)| s);
            }
            chosen -= ties as usize;
        }
        None
    }
}

fn count_feasible(verdicts: &[Verdict]) -> usize {
    verdicts
        .iter()
        .filter(|verdict| **verdict == FEASIBLE)
        .count()
}

/// The highest total, and how many have it.
fn highest(totals: &[i32]) -> (i32, u32) {
    let highest = totals.iter().copied().max().unwrap_or(INFEASIBLE);
    let ties = totals.iter().filter(|total| **total == highest).count();
    (highest, ties as u32)
}

/// The slot with the highest total; of several, one by lot.
fn best(totals: &[i32], lot: &mut Lot) -> Option<usize> {
    let (highest, ties) = highest(totals);
    let chosen = if ties == 1 {
        0
    } else {
        lot.draw(ties as usize)
    };
    let slots = totals.iter().enumerate();
    let mut best = slots.filter(|(_, total)| **total == highest);
    best.nth(chosen).map(|(slot, _)| slot)
}
