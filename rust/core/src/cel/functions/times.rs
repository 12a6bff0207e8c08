//! Durations and timestamps.

use super::{Out, overload};
use crate::cel::value::Value;

/// Billionths in one.
pub(super) const NANO: i128 = 1_000_000_000;

/// Nanoseconds of a duration.
pub(crate) fn duration(text: &str) -> Option<i64> {
    crate::schema::go_duration(text)
}

fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z - era * 146_097;
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// Nanoseconds since 1970 of an RFC 3339 time or date.
pub(crate) fn timestamp(text: &str) -> Option<i128> {
    let number = |range: std::ops::Range<usize>| -> Option<i64> {
        let part = text.get(range)?;
        part.bytes()
            .all(|c| c.is_ascii_digit())
            .then(|| part.parse().ok())?
    };
    let bytes = text.as_bytes();
    if bytes.len() < 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let (month, day) = (number(5..7)?, number(8..10)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let date = days(number(0..4)?, month, day);
    if bytes.len() == 10 {
        return Some(i128::from(date) * 86_400 * NANO);
    }
    if bytes.len() < 20
        || !matches!(bytes[10], b'T' | b't')
        || bytes[13] != b':'
        || bytes[16] != b':'
    {
        return None;
    }
    let mut seconds =
        date * 86_400 + number(11..13)? * 3600 + number(14..16)? * 60 + number(17..19)?;
    let mut rest = &text[19..];
    let mut nanos = 0_i128;
    if let Some(fraction) = rest.strip_prefix('.') {
        let end = fraction
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(fraction.len());
        if end == 0 || end > 9 {
            return None;
        }
        nanos = format!("{:0<9}", &fraction[..end]).parse().ok()?;
        rest = &fraction[end..];
    }
    match rest {
        "Z" | "z" => {}
        _ => {
            let sign = match rest.as_bytes().first()? {
                b'+' => 1,
                b'-' => -1,
                _ => return None,
            };
            let (hours, minutes) = rest[1..].split_once(':')?;
            seconds -=
                sign * (hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60);
        }
    }
    Some(i128::from(seconds) * NANO + nanos)
}

pub(super) fn written(at: i128) -> String {
    let (seconds, nanos) = (at.div_euclid(NANO) as i64, at.rem_euclid(NANO));
    let (day, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, date) = civil(day);
    let mut out = format!(
        "{year:04}-{month:02}-{date:02}T{:02}:{:02}:{:02}",
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60
    );
    if nanos > 0 {
        out += format!(".{nanos:09}").trim_end_matches('0');
    }
    out + "Z"
}

/// Seconds east of UTC of a zone of the IANA database at a time.
fn named_zone(name: &str, at: i128) -> Option<i64> {
    let zone = jiff::tz::TimeZone::get(name).ok()?;
    let second = i64::try_from(at.div_euclid(NANO)).ok()?;
    let time = jiff::Timestamp::from_second(second).ok()?;
    Some(i64::from(zone.to_offset(time).seconds()))
}

pub(super) fn part_of_time<'v>(name: &str, at: i128, zone: &[Value<'v>]) -> Out<'v> {
    let shift = match zone {
        [] => 0,
        [Value::Text(zone)] if matches!(&**zone, "UTC" | "") => 0,
        [Value::Text(zone)] => {
            let (sign, rest) = match zone.strip_prefix('-') {
                Some(rest) => (-1, rest),
                None => (1, zone.trim_start_matches('+')),
            };
            let parts = rest
                .split_once(':')
                .and_then(|(h, m)| Some((h.parse::<i64>().ok()?, m.parse::<i64>().ok()?)));
            match parts {
                Some((hours, minutes)) => sign * (hours * 3600 + minutes * 60),
                None => named_zone(zone, at).ok_or_else(|| format!("unknown time zone {zone}"))?,
            }
        }
        _ => return overload(),
    };
    let seconds = at.div_euclid(NANO) as i64 + shift;
    let (day, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, date) = civil(day);
    Ok(Value::Int(match name {
        "getFullYear" => year,
        "getMonth" => month - 1,
        "getDate" => date,
        "getDayOfMonth" => date - 1,
        "getDayOfWeek" => (day + 4).rem_euclid(7),
        "getDayOfYear" => day - days(year, 1, 1),
        "getHours" => of_day / 3600,
        "getMinutes" => of_day / 60 % 60,
        "getSeconds" => of_day % 60,
        "getMilliseconds" => (at.rem_euclid(NANO) / 1_000_000) as i64,
        _ => return overload(),
    }))
}
