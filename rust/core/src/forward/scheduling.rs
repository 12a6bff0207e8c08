//! How new connections are spread over the destinations of a virtual server: IPVS' schedulers and their flags.

/// A scheduler of the kernel (net/netfilter/ipvs), under its name there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Scheduler {
    /// Round robin.
    #[default]
    Rr,
    /// Round robin by weight.
    Wrr,
    /// Fewest connections.
    Lc,
    /// Fewest connections by weight.
    Wlc,
    /// By locality: a destination address stays with one until that is overloaded.
    Lblc,
    /// As `lblc`, over a set of them.
    Lblcr,
    /// Source hashing.
    Sh,
    /// Maglev hashing of the source.
    Mh,
    /// Destination hashing.
    Dh,
    /// Shortest expected delay.
    Sed,
    /// Never queue: an idle one, else the shortest expected delay.
    Nq,
    /// Failover: the one of highest weight.
    Fo,
    /// Overflow: the one of highest weight until it has as many connections.
    Ovf,
}

const SCHEDULERS: [(Scheduler, &str); 13] = [
    (Scheduler::Rr, "rr"),
    (Scheduler::Wrr, "wrr"),
    (Scheduler::Lc, "lc"),
    (Scheduler::Wlc, "wlc"),
    (Scheduler::Lblc, "lblc"),
    (Scheduler::Lblcr, "lblcr"),
    (Scheduler::Sh, "sh"),
    (Scheduler::Mh, "mh"),
    (Scheduler::Dh, "dh"),
    (Scheduler::Sed, "sed"),
    (Scheduler::Nq, "nq"),
    (Scheduler::Fo, "fo"),
    (Scheduler::Ovf, "ovf"),
];

impl Scheduler {
    /// The kernel's name.
    pub fn name(self) -> &'static str {
        SCHEDULERS[self as usize].1
    }

    /// Reads [`Scheduler::name`].
    pub fn parse(name: &str) -> Option<Self> {
        SCHEDULERS.iter().find(|s| s.1 == name).map(|s| s.0)
    }
}

/// A scheduler with its flags, written `NAME[,NAME-fallback][,NAME-port]`; only `sh` and `mh` have them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scheduling {
    /// Which one.
    pub scheduler: Scheduler,
    /// Goes on to another destination where the hash names one that takes no connections.
    pub fallback: bool,
    /// Hashes the source port too.
    pub port: bool,
}

impl Scheduling {
    /// Reads the text. The error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = text.split(',').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let Some(scheduler) = Scheduler::parse(name) else {
            let names: Vec<_> = SCHEDULERS.iter().map(|s| format!("\"{}\"", s.1)).collect();
            return Err(format!(
                "Unsupported value: {text:?}: supported values: {}",
                names.join(", ")
            ));
        };
        let mut read = Self {
            scheduler,
            ..Self::default()
        };
        let flagged = matches!(scheduler, Scheduler::Sh | Scheduler::Mh);
        for flag in parts {
            match flag.strip_prefix(name) {
                Some("-fallback") if flagged => read.fallback = true,
                Some("-port") if flagged => read.port = true,
                _ if flagged => {
                    return Err(format!(
                        "Unsupported value: {text:?}: {name} has the flags \"{name}-fallback\" and \"{name}-port\""
                    ));
                }
                _ => {
                    return Err(format!("Unsupported value: {text:?}: {name} has no flags"));
                }
            }
        }
        Ok(read)
    }
}

impl std::fmt::Display for Scheduling {
    /// As [`Scheduling::parse`] reads it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.scheduler.name();
        f.write_str(name)?;
        for (set, flag) in [(self.fallback, "fallback"), (self.port, "port")] {
            if set {
                write!(f, ",{name}-{flag}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_scheduler_has_its_place_in_the_list() {
        for (scheduler, name) in SCHEDULERS {
            assert_eq!(
                (scheduler.name(), Scheduler::parse(name)),
                (name, Some(scheduler))
            );
        }
    }

    #[test]
    fn flags_belong_to_those_that_hash_the_source() {
        let read = Scheduling::parse("mh, mh-port").unwrap();
        assert_eq!(read.to_string(), "mh,mh-port");
        assert_eq!(
            (read.scheduler, read.port, read.fallback),
            (Scheduler::Mh, true, false)
        );
        for wrong in ["", "x", "rr,rr-port", "sh,mh-port", "mh,mh-"] {
            assert!(
                Scheduling::parse(wrong)
                    .unwrap_err()
                    .starts_with("Unsupported value: "),
                "{wrong}"
            );
        }
    }
}
