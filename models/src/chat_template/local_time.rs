use std::fmt::Write as _;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];
const DAYS_BEFORE: [u16; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];

/// A date and time of day in no particular time zone, in the proleptic Gregorian calendar.
///
/// What a template's `strftime_now` takes for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalTime {
    year: u16,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
}

impl LocalTime {
    /// Takes year (1 to 9999), month and day (from 1), hour (0 to 23), minute and second (0 to 59);
    /// returns none if there is no such time.
    pub fn new(year: u16, month: u8, day: u8, hour: u8, minute: u8, second: u8) -> Option<Self> {
        let days = match month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 if is_leap(year) => 29,
            2 => 28,
            _ => return None,
        };
        let valid = (1..=9999).contains(&year)
            && (1..=days).contains(&day)
            && hour < 24
            && minute < 60
            && second < 60;
        valid.then_some(Self {
            year,
            month,
            day,
            hour,
            minute,
            second,
        })
    }

    /// Writes it as Python's `strftime` does in the C locale, glibc's flags `-`, `_`, `0`, `^`
    /// and `#` included; a code nobody knows stays as it is.
    pub(super) fn format(self, format: &str) -> String {
        let mut out = String::new();
        let mut rest = format;
        while let Some(at) = rest.find('%') {
            out.push_str(&rest[..at]);
            let code = &rest[at + 1..];
            let after = code.trim_start_matches(['-', '_', '0', '^', '#']);
            let flags = &code[..code.len() - after.len()];
            let mut letters = after.chars();
            let (written, behind) = match letters.next() {
                Some(letter) => (self.field(letter, flags), letters.as_str()),
                None => (None, ""),
            };
            match written {
                Some(text) if flags.contains('^') => out.push_str(&text.to_uppercase()),
                Some(text) => out.push_str(&text),
                None => out.push_str(&rest[at..rest.len() - behind.len()]),
            }
            rest = behind;
        }
        out.push_str(rest);
        out
    }

    fn field(self, letter: char, flags: &str) -> Option<String> {
        let number = |value: u16, width: usize, usual: char| {
            let pad = flags.chars().rev().find(|flag| "-_0".contains(*flag));
            match pad.unwrap_or(usual) {
                '-' => value.to_string(),
                '_' => format!("{value:width$}"),
                _ => format!("{value:0width$}"),
            }
        };
        let two = |value: u8| number(value.into(), 2, '0');
        let twelve = match self.hour % 12 {
            0 => 12,
            hour => hour,
        };
        let month = MONTHS[usize::from(self.month - 1)];
        let weekday = self.weekday();
        let day_name = DAYS[usize::from(weekday)];
        let half = if self.hour < 12 { "AM" } else { "PM" };
        Some(match letter {
            'Y' => self.year.to_string(),
            'G' => self.iso_week().0.to_string(),
            'C' => number(self.year / 100, 2, '0'),
            'y' => number(self.year % 100, 2, '0'),
            'g' => number(self.iso_week().0 % 100, 2, '0'),
            'm' => two(self.month),
            'd' => two(self.day),
            'e' => number(self.day.into(), 2, '_'),
            'H' => two(self.hour),
            'k' => number(self.hour.into(), 2, '_'),
            'I' => two(twelve),
            'l' => number(twelve.into(), 2, '_'),
            'M' => two(self.minute),
            'S' => two(self.second),
            'f' => "000000".to_owned(),
            'j' => number(self.day_of_year(), 3, '0'),
            'U' => number((self.day_of_year() + 6 - weekday) / 7, 2, '0'),
            'W' => number((self.day_of_year() + 6 - (weekday + 6) % 7) / 7, 2, '0'),
            'V' => number(self.iso_week().1, 2, '0'),
            'u' => if weekday == 0 { 7 } else { weekday }.to_string(),
            'w' => weekday.to_string(),
            'a' => day_name[..3].to_owned(),
            'A' => day_name.to_owned(),
            'b' | 'h' => month[..3].to_owned(),
            'B' => month.to_owned(),
            'p' if flags.contains('#') => half.to_lowercase(),
            'p' => half.to_owned(),
            'P' => half.to_lowercase(),
            // A time without a zone.
            'z' | 'Z' => String::new(),
            'F' => self.format("%Y-%m-%d"),
            'D' | 'x' => self.format("%m/%d/%y"),
            'T' | 'X' => self.format("%H:%M:%S"),
            'R' => self.format("%H:%M"),
            'r' => self.format("%I:%M:%S %p"),
            'c' => {
                let mut text = self.format("%a %b %e %H:%M:%S ");
                let _ = write!(text, "{}", self.year);
                text
            }
            'n' => "\n".to_owned(),
            't' => "\t".to_owned(),
            '%' => "%".to_owned(),
            _ => return None,
        })
    }

    /// Day of the year, from 1.
    fn day_of_year(self) -> u16 {
        let leap = self.month > 2 && is_leap(self.year);
        DAYS_BEFORE[usize::from(self.month - 1)] + u16::from(leap) + u16::from(self.day)
    }

    /// Day of the week, 0 for Sunday.
    fn weekday(self) -> u16 {
        let before = u32::from(self.year) - 1;
        let days = before * 365 + before / 4 - before / 100 + before / 400;
        // The first day of the year 1 was a Monday.
        let weekday = (days + u32::from(self.day_of_year())) % 7;
        u16::try_from(weekday).expect("a remainder of 7 is small")
    }

    /// Year and week by ISO 8601.
    fn iso_week(self) -> (u16, u16) {
        let weekday = match self.weekday() {
            0 => 7,
            day => day,
        };
        let week = (self.day_of_year() + 10 - weekday) / 7;
        if week == 0 {
            let last = self.year.saturating_sub(1);
            return (last, weeks(last));
        }
        if week > weeks(self.year) {
            return (self.year + 1, 1);
        }
        (self.year, week)
    }
}

fn is_leap(year: u16) -> bool {
    year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400)
}

/// Weeks of a year by ISO 8601: 53 if it begins on a Thursday, or on a Wednesday in a leap year.
fn weeks(year: u16) -> u16 {
    let first = LocalTime {
        year: year.max(1),
        month: 1,
        day: 1,
        hour: 0,
        minute: 0,
        second: 0,
    };
    let weekday = first.weekday();
    52 + u16::from(weekday == 4 || weekday == 3 && is_leap(year))
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::LocalTime;

    // What Python's datetime(2024, 7, 6, 15, 4, 9).strftime gives in the C locale.
    #[test_case("%d %b %Y", "06 Jul 2024"; "Llama's")]
    #[test_case("%Y-%m-%d", "2024-07-06"; "ISO")]
    #[test_case("%A, %B %-d, %y %e|%_H", "Saturday, July 6, 24  6|15"; "names")]
    #[test_case("%I:%M:%S %p %j %U %W %V %G %u %w", "03:04:09 PM 188 26 27 27 2024 6 6"; "numbers")]
    #[test_case("%c|%x|%X|%F|%T|%^a|%%|%Q|%z", "Sat Jul  6 15:04:09 2024|07/06/24|15:04:09|2024-07-06|15:04:09|SAT|%|%Q|"; "whole")]
    #[test_case("100%", "100%"; "a percent sign at the end")]
    #[test_case("%é", "%é"; "a code that is no letter")]
    fn is_written_as_python_does(format: &str, expected: &str) {
        let time = LocalTime::new(2024, 7, 6, 15, 4, 9).unwrap();
        assert_eq!(time.format(format), expected);
    }

    #[test_case(2021, 1, 3, "2020 53 0 00"; "a Sunday in the last week of a long year")]
    #[test_case(2024, 12, 30, "2025 01 1 53"; "a Monday in the first week of the next")]
    #[test_case(2000, 2, 29, "2000 09 2 09"; "a leap day")]
    fn weeks_are_counted(year: u16, month: u8, day: u8, expected: &str) {
        let time = LocalTime::new(year, month, day, 0, 0, 0).unwrap();
        assert_eq!(time.format("%G %V %w %W"), expected);
    }

    #[test_case(2023, 2, 29; "no leap year")]
    #[test_case(1900, 2, 29; "a century")]
    #[test_case(2023, 13, 1; "no month")]
    #[test_case(0, 1, 1; "no year")]
    fn no_other_days(year: u16, month: u8, day: u8) {
        assert_eq!(LocalTime::new(year, month, day, 0, 0, 0), None);
    }
}
