//! Quantities as Kubernetes writes them.

pub(in crate::cel) fn parse_quantity(text: &str) -> Option<i128> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '+' | '-'))
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (sign, digits) = match number.as_bytes().first()? {
        b'-' => (-1, &number[1..]),
        b'+' => (1, &number[1..]),
        _ => (1, number),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.len() + fraction.len() == 0
        || !(whole.bytes().chain(fraction.bytes())).all(|c| c.is_ascii_digit())
    {
        return None;
    }
    let mantissa: i128 = format!("{whole}{fraction}")
        .parse()
        .ok()
        .filter(|m| *m < 10_i128.pow(27))?;
    let scale = |mantissa: i128, up: i128, exponent: i32| -> Option<i128> {
        let value = mantissa.checked_mul(up)?;
        let shift = exponent + 9 - i32::try_from(fraction.len()).ok()?;
        if shift >= 0 {
            value.checked_mul(10_i128.checked_pow(u32::try_from(shift).ok()?)?)
        } else {
            let by = 10_i128.checked_pow(u32::try_from(-shift).ok()?)?;
            Some((value + by - 1) / by)
        }
    };
    let two = |power: u32| Some((1_i128 << power, 0));
    let (up, exponent) = match suffix {
        "" => (1, 0),
        "n" => (1, -9),
        "u" => (1, -6),
        "m" => (1, -3),
        "k" => (1, 3),
        "M" => (1, 6),
        "G" => (1, 9),
        "T" => (1, 12),
        "P" => (1, 15),
        "E" => (1, 18),
        "Ki" => two(10)?,
        "Mi" => two(20)?,
        "Gi" => two(30)?,
        "Ti" => two(40)?,
        "Pi" => two(50)?,
        "Ei" => two(60)?,
        other => {
            let power: i32 = other.strip_prefix(['e', 'E'])?.parse().ok()?;
            (1, power)
        }
    };
    Some(sign * scale(mantissa, up, exponent)?)
}
