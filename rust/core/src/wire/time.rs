//! Times in Go's text forms.

use std::fmt::Write as _;

/// The layout of `metav1.Time`, as Go's errors quote it.
const RFC3339: &str = "2006-01-02T15:04:05Z07:00";
/// The layout of `metav1.MicroTime`.
const RFC3339_MICRO: &str = "2006-01-02T15:04:05.000000Z07:00";

/// Seconds and microseconds since 1970, UTC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Instant {
    pub seconds: i64,
    pub micros: u32,
}

/// 0001-01-01T00:00:00Z, Go's zero time, which is written as null.
pub(crate) const ZERO: Instant = Instant {
    seconds: -62_135_596_800,
    micros: 0,
};

/// 9999-12-31T23:59:59Z: RFC 3339 has four digits for the year.
pub(crate) const LAST: i64 = 253_402_300_799;

struct Parser<'a> {
    whole: &'a str,
    rest: &'a str,
    layout: &'static str,
}

impl Parser<'_> {
    fn cannot(&self, element: &str) -> String {
        format!(
            "parsing time {} as {:?}: cannot parse {} as {element:?}",
            quote(self.whole),
            self.layout,
            quote(self.rest)
        )
    }

    fn range(&self, what: &str) -> String {
        format!("parsing time {}: {what} out of range", quote(self.whole))
    }

    fn number(&mut self, digits: usize, element: &str) -> Result<i64, String> {
        match self.rest.get(..digits) {
            Some(text) if text.bytes().all(|c| c.is_ascii_digit()) => {
                self.rest = &self.rest[digits..];
                text.parse().map_err(|_| self.cannot(element))
            }
            _ => Err(self.cannot(element)),
        }
    }

    fn literal(&mut self, text: &str) -> Result<(), String> {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                Ok(())
            }
            None => Err(self.cannot(text)),
        }
    }
}

/// Package time's own quoting: whatever is not printable ASCII byte by byte.
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => {
                out.push('\\');
                out.push(char::from(byte));
            }
            b' '..0x80 => out.push(char::from(byte)),
            _ => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\x{byte:02x}");
            }
        }
    }
    out + "\""
}

/// Reads RFC 3339 as Go's `time.Parse` does; `micro` asks for exactly six decimals.
pub(crate) fn parse(text: &str, micro: bool) -> Result<Instant, String> {
    let mut p = Parser {
        whole: text,
        rest: text,
        layout: if micro { RFC3339_MICRO } else { RFC3339 },
    };
    let year = p.number(4, "2006")?;
    p.literal("-")?;
    let month = p.number(2, "01")?;
    if !(1..=12).contains(&month) {
        return Err(p.range("month"));
    }
    p.literal("-")?;
    let day = p.number(2, "02")?;
    p.literal("T")?;
    // Go takes an hour of one digit.
    let one = p
        .rest
        .as_bytes()
        .get(1)
        .is_some_and(|c| !c.is_ascii_digit());
    let hour = p.number(if one { 1 } else { 2 }, "15")?;
    if hour > 23 {
        return Err(p.range("hour"));
    }
    p.literal(":")?;
    let minute = p.number(2, "04")?;
    if minute > 59 {
        return Err(p.range("minute"));
    }
    p.literal(":")?;
    let second = p.number(2, "05")?;
    if second > 59 {
        return Err(p.range("second"));
    }
    let mut micros = 0;
    if micro {
        if !p.rest.starts_with(['.', ',']) {
            return Err(p.cannot(".000000"));
        }
        let before = p.rest;
        p.rest = &p.rest[1..];
        micros = match p.number(6, ".000000") {
            Ok(value) => value as u32,
            Err(_) => {
                p.rest = before;
                return Err(p.cannot(".000000"));
            }
        };
    } else if p.rest.starts_with(['.', ','])
        && p.rest[1..].starts_with(|c: char| c.is_ascii_digit())
    {
        p.rest = p.rest[1..].trim_start_matches(|c: char| c.is_ascii_digit());
    }
    let offset = zone(&mut p)?;
    if !p.rest.is_empty() {
        return Err(format!(
            "parsing time {}: extra text: {}",
            quote(text),
            quote(p.rest)
        ));
    }
    if day < 1 || day > days_in(year, month) {
        return Err(p.range("day"));
    }
    let seconds = days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset;
    Ok(Instant { seconds, micros })
}

fn zone(p: &mut Parser<'_>) -> Result<i64, String> {
    if let Some(rest) = p.rest.strip_prefix('Z') {
        p.rest = rest;
        return Ok(0);
    }
    let bytes = p.rest.as_bytes();
    let shaped = bytes.len() >= 6
        && matches!(bytes[0], b'+' | b'-')
        && bytes[3] == b':'
        && [1, 2, 4, 5].iter().all(|&i| bytes[i].is_ascii_digit());
    if !shaped {
        return Err(p.cannot("Z07:00"));
    }
    let two = |i: usize| i64::from(bytes[i] - b'0') * 10 + i64::from(bytes[i + 1] - b'0');
    let (hours, minutes) = (two(1), two(4));
    if hours > 24 {
        return Err(p.range("time zone offset hour"));
    }
    if minutes > 60 {
        return Err(p.range("time zone offset minute"));
    }
    let sign = if bytes[0] == b'-' { -1 } else { 1 };
    p.rest = &p.rest[6..];
    Ok(sign * (hours * 3600 + minutes * 60))
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Writes the time in UTC, with its quotes.
pub(crate) fn format(out: &mut Vec<u8>, at: Instant, micro: bool) {
    let z = at.seconds.div_euclid(86400) + 719_468;
    let second = at.seconds.rem_euclid(86400);
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let m = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * m + 2) / 5 + 1;
    let month = if m < 10 { m + 3 } else { m - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    out.push(b'"');
    digits(out, year, 4);
    for (mark, value) in [
        (b'-', month),
        (b'-', day),
        (b'T', second / 3600),
        (b':', second / 60 % 60),
        (b':', second % 60),
    ] {
        out.push(mark);
        digits(out, value, 2);
    }
    if micro {
        out.push(b'.');
        digits(out, i64::from(at.micros), 6);
    }
    out.extend_from_slice(b"Z\"");
}

fn digits(out: &mut Vec<u8>, value: i64, width: usize) {
    if value < 0 || value >= 10_i64.pow(width as u32) {
        out.extend_from_slice(format!("{value:0width$}").as_bytes());
        return;
    }
    let start = out.len();
    out.resize(start + width, b'0');
    let mut left = value;
    for slot in out[start..].iter_mut().rev() {
        *slot = b'0' + (left % 10) as u8;
        left /= 10;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn round(text: &str, micro: bool) -> String {
        match parse(text, micro) {
            Ok(at) => {
                let mut out = Vec::new();
                format(&mut out, at, micro);
                String::from_utf8(out).unwrap()
            }
            Err(e) => e,
        }
    }

    #[test]
    fn times_become_utc() {
        assert_eq!(
            round("2024-02-29T23:59:59Z", false),
            "\"2024-02-29T23:59:59Z\""
        );
        assert_eq!(
            round("2024-03-01T01:30:00.123+02:00", false),
            "\"2024-02-29T23:30:00Z\""
        );
        assert_eq!(
            round("1969-12-31T23:59:59-00:30", false),
            "\"1970-01-01T00:29:59Z\""
        );
        assert_eq!(
            round("2024-02-29T23:59:59.000120Z", true),
            "\"2024-02-29T23:59:59.000120Z\""
        );
        assert_eq!(parse("0001-01-01T00:00:00Z", false).unwrap(), ZERO);
    }

    #[test]
    fn errors_are_worded_as_go_words_them() {
        assert_eq!(
            round("yesterday", false),
            r#"parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday" as "2006""#
        );
        assert_eq!(
            round("2024-02-30T00:00:00Z", false),
            r#"parsing time "2024-02-30T00:00:00Z": day out of range"#
        );
        assert_eq!(
            round("2024-02-29T23:59:59Z", true),
            r#"parsing time "2024-02-29T23:59:59Z" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "Z" as ".000000""#
        );
    }
}
