//! Times and durations as text.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// `YYYY-MM-DD hh:mm:ss` in the local zone.
pub fn list_time(millis: i64) -> String {
    local(millis, "%Y-%m-%d %H:%M:%S")
}

/// `YYYY-MM-DD hh:mm:ss +0000 UTC` in the local zone, to the second.
pub fn summary_time(millis: i64) -> String {
    local(millis, "%Y-%m-%d %H:%M:%S %z %Z")
}

fn local(millis: i64, format: &str) -> String {
    let Ok(time) = Timestamp::from_millisecond(millis) else {
        return String::new();
    };
    time.to_zoned_datetime(TimeZone::system()).strftime(format).to_string()
}

/// A duration in ms the way Go writes it: `50ms`, `1.5s`, `1m2.345s`, `1h0m3s`.
pub fn go_duration(millis: i64) -> String {
    let (sign, millis) = (if millis < 0 { "-" } else { "" }, millis.unsigned_abs());
    if millis == 0 {
        return "0s".to_owned();
    }
    if millis < 1000 {
        return format!("{sign}{millis}ms");
    }
    let seconds = format!("{}.{:03}", millis / 1000 % 60, millis % 1000);
    let seconds = seconds.trim_end_matches('0').trim_end_matches('.');
    let (hours, minutes) = (millis / 3_600_000, millis / 60_000 % 60);
    match (hours, minutes) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
        (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let cases = [
            (0, "0s"),
            (50, "50ms"),
            (1000, "1s"),
            (1500, "1.5s"),
            (62345, "1m2.345s"),
            (3_603_000, "1h0m3s"),
            (60_000, "1m0s"),
            (10_010, "10.01s"),
        ];
        for (millis, text) in cases {
            assert_eq!(go_duration(millis), text);
        }
    }
}
