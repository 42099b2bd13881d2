//! Numbers as people read them: binary units, thousands separators, shares, durations, dates.

/// `1,234,567`.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `n` things: `1 block`, `2,000 blocks`.
pub(crate) fn things(n: u64, singular: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{} {singular}{plural}", count(n))
}

/// `812 B`, `1.5 KiB`, `412.3 MiB`.
pub(crate) fn bytes(n: u64) -> String {
    if n < 1024 {
        return format!("{n} B");
    }
    let mut value = n as f64 / 1024.0;
    let mut units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    // 1023.95 would be written as 1024.0.
    while value >= 1023.95 {
        let Some(next) = units.next() else { break };
        value /= 1024.0;
        unit = next;
    }
    format!("{value:.1} {unit}")
}

/// `61.2%`; `None` where there is no whole.
pub(crate) fn share(part: u64, whole: u64) -> Option<String> {
    if whole == 0 {
        return None;
    }
    let percent = part as f64 * 100.0 / whole as f64;
    Some(if part > 0 && percent < 0.05 {
        "<0.1%".to_owned()
    } else if percent > 999.0 {
        ">999%".to_owned()
    } else {
        format!("{percent:.1}%")
    })
}

/// `0 s`, `340 ms`, `12.4 s`, `2m 41s`, `3h 12m`, `4d 6h`; `None` for what is no duration.
pub(crate) fn duration(seconds: f64) -> Option<String> {
    if !(0.0..=1e12).contains(&seconds) {
        return None;
    }
    if seconds < 0.0005 {
        return Some("0 s".to_owned());
    }
    if seconds < 0.9995 {
        return Some(format!("{:.0} ms", seconds * 1000.0));
    }
    if seconds < 59.95 {
        return Some(format!("{seconds:.1} s"));
    }
    let whole = seconds.round() as u64;
    let (days, hours, minutes) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60);
    Some(if days > 0 {
        format!("{}d {hours}h", count(days))
    } else if hours > 0 {
        format!("{hours}h {minutes}m")
    } else {
        format!("{minutes}m {}s", whole % 60)
    })
}

/// [`duration`] of milliseconds.
pub(crate) fn duration_ms(ms: u64) -> Option<String> {
    duration(ms as f64 / 1000.0)
}

/// `2026-11-03 02:14:07 UTC`; `None` for times outside the calendar.
pub(crate) fn date(unix_ms: u64) -> Option<String> {
    Some(timestamp(unix_ms)?.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

/// `2026-11-03T02:14:07.25Z`; `None` for times outside the calendar.
pub(crate) fn rfc3339(unix_ms: u64) -> Option<String> {
    Some(timestamp(unix_ms)?.to_string())
}

/// 0 is "not known": no recording began in 1970.
fn timestamp(unix_ms: u64) -> Option<jiff::Timestamp> {
    let ms = i64::try_from(unix_ms).ok().filter(|&ms| ms > 0)?;
    jiff::Timestamp::from_millisecond(ms).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_separators() {
        let check = |n, expected: &str| assert_eq!(count(n), expected);
        check(0, "0");
        check(999, "999");
        check(1000, "1,000");
        check(1_234_567, "1,234,567");
        check(u64::MAX, "18,446,744,073,709,551,615");
    }

    #[test]
    fn bytes_change_unit_before_they_read_1024() {
        let check = |n, expected: &str| assert_eq!(bytes(n), expected);
        check(0, "0 B");
        check(1023, "1023 B");
        check(1024, "1.0 KiB");
        check(1536, "1.5 KiB");
        check((1 << 20) - 1, "1.0 MiB");
        check(432_328_704, "412.3 MiB");
        check(u64::MAX, "16.0 EiB");
    }

    #[test]
    fn shares_never_hide_a_little() {
        let check = |part, whole, expected: Option<&str>| assert_eq!(share(part, whole).as_deref(), expected);
        check(0, 0, None);
        check(0, 10, Some("0.0%"));
        check(1, 1_000_000, Some("<0.1%"));
        check(1, 3, Some("33.3%"));
        check(3, 3, Some("100.0%"));
        check(u64::MAX, 1, Some(">999%"));
    }

    #[test]
    fn durations_have_two_parts_at_most() {
        let check = |s, expected: Option<&str>| assert_eq!(duration(s).as_deref(), expected);
        check(0.0, Some("0 s"));
        check(0.34, Some("340 ms"));
        check(12.42, Some("12.4 s"));
        check(59.97, Some("1m 0s"));
        check(161.0, Some("2m 41s"));
        check(11_520.0, Some("3h 12m"));
        check(1_814_400.0, Some("21d 0h"));
        check(f64::NAN, None);
        check(-1.0, None);
    }

    #[test]
    fn dates_are_utc() {
        assert_eq!(date(1_793_672_047_250).as_deref(), Some("2026-11-03 02:14:07 UTC"));
        assert_eq!(rfc3339(1_793_672_047_250).as_deref(), Some("2026-11-03T02:14:07.25Z"));
        assert_eq!(date(0), None);
        assert_eq!(date(u64::MAX), None);
    }
}
