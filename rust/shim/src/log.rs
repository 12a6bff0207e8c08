//! The container's log in CRI's format: `TIME STREAM F|P TEXT`, one entry a line.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use nix::time::{ClockId, clock_gettime};

/// Longest text of an entry, as every runtime of Kubernetes splits: longer lines become `P` entries and one `F`.
const LONGEST_ENTRY: usize = 16 << 10;

/// Which output.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Also a terminal's.
    Stdout,
    /// Not with a terminal.
    Stderr,
}

impl Kind {
    fn name(self) -> &'static [u8] {
        match self {
            Self::Stdout => b"stdout",
            Self::Stderr => b"stderr",
        }
    }
}

/// The open log file.
pub struct Log {
    path: String,
    file: Option<File>,
    size: u64,
    lost: u64,
    cut: bool,
    entries: Vec<u8>,
}

impl Log {
    /// Opens or makes the file at `path`; with an empty path nothing is kept.
    pub fn open(path: &str) -> Result<Self, String> {
        let mut log = Self {
            path: path.to_owned(),
            file: None,
            size: 0,
            lost: 0,
            cut: false,
            entries: Vec::new(),
        };
        log.reopen()?;
        Ok(log)
    }

    /// Goes on in a new file, the old one having been renamed.
    pub fn reopen(&mut self) -> Result<(), String> {
        if self.path.is_empty() {
            return Ok(());
        }
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o640)
            .open(&self.path);
        let file = file.map_err(|e| format!("cannot open the log {}: {e}", self.path))?;
        self.size = file.metadata().map_or(0, |m| m.len());
        self.file = Some(file);
        self.cut = false;
        Ok(())
    }

    /// Bytes in the file.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds what an output gave. `partial` holds the beginning of a line between calls, and is emptied at the `end`.
    pub fn add(&mut self, kind: Kind, data: &[u8], partial: &mut Vec<u8>, end: bool) {
        if self.file.is_none() {
            return;
        }
        let mut prefix = Vec::with_capacity(48);
        timestamp(&mut prefix);
        prefix.push(b' ');
        prefix.extend_from_slice(kind.name());
        let mut entries = std::mem::take(&mut self.entries);
        let mut rest = data;
        while let Some(at) = memchr(rest) {
            let (line, after) = rest.split_at(at);
            rest = &after[1..];
            if partial.is_empty() {
                split(&mut entries, &prefix, line, b" F ");
            } else {
                partial.extend_from_slice(line);
                split(&mut entries, &prefix, partial, b" F ");
                partial.clear();
            }
        }
        partial.extend_from_slice(rest);
        while partial.len() > LONGEST_ENTRY {
            entry(&mut entries, &prefix, b" P ", &partial[..LONGEST_ENTRY]);
            partial.drain(..LONGEST_ENTRY);
        }
        if end && !partial.is_empty() {
            entry(&mut entries, &prefix, b" P ", partial);
            partial.clear();
        }
        self.write(&entries, &prefix);
        entries.clear();
        self.entries = entries;
    }

    /// A full disk must not stop the container: entries are lost, and how many is told once there is room again.
    fn write(&mut self, entries: &[u8], prefix: &[u8]) {
        let Some(file) = &mut self.file else { return };
        if entries.is_empty() {
            return;
        }
        if self.lost > 0 {
            let mut note = if self.cut { b"\n".to_vec() } else { Vec::new() };
            let text = format!(
                "orlop: {} bytes of this log could not be written",
                self.lost
            );
            entry(&mut note, prefix, b" F ", text.as_bytes());
            if file.write_all(&note).is_err() {
                self.lost += entries.len() as u64;
                self.cut = true;
                return;
            }
            self.size += note.len() as u64;
            (self.lost, self.cut) = (0, false);
        }
        if file.write_all(entries).is_err() {
            self.lost += entries.len() as u64;
            self.cut = true;
            return;
        }
        self.size += entries.len() as u64;
    }
}

fn split(entries: &mut Vec<u8>, prefix: &[u8], mut line: &[u8], last: &[u8]) {
    while line.len() > LONGEST_ENTRY {
        entry(entries, prefix, b" P ", &line[..LONGEST_ENTRY]);
        line = &line[LONGEST_ENTRY..];
    }
    entry(entries, prefix, last, line);
}

fn entry(entries: &mut Vec<u8>, prefix: &[u8], tag: &[u8], text: &[u8]) {
    entries.reserve(prefix.len() + tag.len() + text.len() + 1);
    entries.extend_from_slice(prefix);
    entries.extend_from_slice(tag);
    entries.extend_from_slice(text);
    entries.push(b'\n');
}

fn memchr(data: &[u8]) -> Option<usize> {
    // SAFETY: reads within `data` only.
    let found = unsafe { libc::memchr(data.as_ptr().cast(), i32::from(b'\n'), data.len()) };
    (!found.is_null()).then(|| found as usize - data.as_ptr() as usize)
}

/// Now as RFC 3339 with nine digits, in UTC.
fn timestamp(out: &mut Vec<u8>) {
    let (seconds, nanoseconds) =
        clock_gettime(ClockId::CLOCK_REALTIME).map_or((0, 0), |t| (t.tv_sec(), t.tv_nsec()));
    write_time(out, seconds, nanoseconds);
}

fn write_time(out: &mut Vec<u8>, seconds: i64, nanoseconds: i64) {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let _ = write!(
        out,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanoseconds:09}Z"
    );
}

/// Year, month and day of a day since 1970-01-01, in the proleptic Gregorian calendar: years begin in March, so that a
/// leap day is a year's last, and 400 years are 146,097 days.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468; // since 0000-03-01
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(seconds: i64, nanoseconds: i64) -> String {
        let mut out = Vec::new();
        write_time(&mut out, seconds, nanoseconds);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn times() {
        assert_eq!(time(0, 5), "1970-01-01T00:00:00.000000005Z");
        assert_eq!(
            time(951_782_399, 999_999_999),
            "2000-02-28T23:59:59.999999999Z"
        );
        assert_eq!(time(951_782_400, 0), "2000-02-29T00:00:00.000000000Z");
        assert_eq!(time(1_795_885_727, 0), "2026-11-28T17:08:47.000000000Z");
        assert_eq!(time(4_107_542_400, 0), "2100-03-01T00:00:00.000000000Z");
    }

    fn texts(chunks: &[&[u8]]) -> Vec<(String, usize)> {
        let path =
            std::env::temp_dir().join(format!("orlop-log-{}-{:p}", std::process::id(), &chunks));
        let mut log = Log::open(path.to_str().expect("UTF-8")).expect("opens");
        let mut partial = Vec::new();
        for chunk in chunks {
            log.add(Kind::Stdout, chunk, &mut partial, false);
        }
        log.add(Kind::Stdout, b"", &mut partial, true);
        let text = std::fs::read_to_string(&path).expect("is there");
        assert_eq!(text.len() as u64, log.size());
        let _ = std::fs::remove_file(path);
        text.lines()
            .map(|l| {
                let fields: Vec<&str> = l.splitn(4, ' ').collect();
                assert_eq!(fields[1], "stdout");
                (fields[2].to_owned(), fields[3].len())
            })
            .collect()
    }

    fn wanted(entries: &[(&str, usize)]) -> Vec<(String, usize)> {
        entries
            .iter()
            .map(|(tag, length)| ((*tag).to_owned(), *length))
            .collect()
    }

    #[test]
    fn lines_are_joined_and_long_ones_split() {
        assert_eq!(
            texts(&[b"one\ntw", b"o\n", b"no end"]),
            wanted(&[("F", 3), ("F", 3), ("P", 6)])
        );
        let long = vec![b'x'; 40_000];
        let split = [("P", 16_384), ("P", 16_384), ("F", 7_232), ("F", 1)];
        assert_eq!(texts(&[&long, b"\n", b"a\n"]), wanted(&split));
        assert_eq!(texts(&[&[&long[..], b"\na\n"].concat()]), wanted(&split));
        assert_eq!(texts(&[b"\n\n"]), wanted(&[("F", 0), ("F", 0)]));
        assert_eq!(
            texts(&[&[&long[..16_384], b"\n"].concat()]),
            wanted(&[("F", 16_384)])
        );
    }
}
