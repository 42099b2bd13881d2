//! A series as columns of block characters.

/// From one to eight eighths.
const EIGHTHS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A series over time, as wide as the chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Series {
    /// The highest value in each column's stretch of time; `None` before the first sample.
    columns: Vec<Option<u64>>,
}

impl Series {
    /// `samples` are `(time in ms, value)`. A column without samples repeats the one before it.
    pub(crate) fn new(samples: impl Iterator<Item = (u64, u64)>, duration_ms: u64, columns: usize) -> Self {
        let mut series = Self { columns: vec![None; columns] };
        for (t_ms, value) in samples {
            series.raise(t_ms, duration_ms, value);
        }
        let mut last = None;
        for column in &mut series.columns {
            last = column.or(last);
            *column = last;
        }
        series
    }

    /// Makes the column at `t_ms` at least `value`.
    pub(crate) fn raise(&mut self, t_ms: u64, duration_ms: u64, value: u64) {
        let at = column_at(t_ms, duration_ms, self.columns.len());
        if let Some(column) = self.columns.get_mut(at) {
            *column = Some(column.map_or(value, |highest| highest.max(value)));
        }
    }

    /// The highest value; `None` without samples.
    pub(crate) fn highest(&self) -> Option<u64> {
        self.columns.iter().flatten().copied().max()
    }

    /// `rows` lines of blocks, the top one first. A column's height is its value as a part of the highest.
    pub(crate) fn draw(&self, rows: usize) -> Vec<String> {
        let highest = u128::from(self.highest().unwrap_or(0).max(1));
        let steps = (rows * EIGHTHS.len()) as u128;
        let heights = self.columns.iter().map(|column| {
            let value = u128::from(column.unwrap_or(0));
            // Something is never drawn as nothing.
            (value * steps).div_ceil(highest) as usize
        });
        let heights: Vec<usize> = heights.collect();
        let row = |row: usize| {
            let below = (rows - 1 - row) * EIGHTHS.len();
            let blocks = heights.iter().map(|height| match height.saturating_sub(below) {
                0 => ' ',
                eighths => EIGHTHS[eighths.min(EIGHTHS.len()) - 1],
            });
            blocks.collect()
        };
        (0..rows).map(row).collect()
    }
}

/// The column of a chart that shows the time `t_ms`.
pub(crate) fn column_at(t_ms: u64, duration_ms: u64, columns: usize) -> usize {
    let at = u128::from(t_ms) * columns as u128 / u128::from(duration_ms.max(1));
    usize::try_from(at).unwrap_or(usize::MAX).min(columns.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(samples: &[(u64, u64)], duration_ms: u64, rows: usize, expected: &[&str]) {
        let series = Series::new(samples.iter().copied(), duration_ms, 8);
        assert_eq!(series.draw(rows), expected);
    }

    #[test]
    fn heights_are_parts_of_the_highest() {
        let ramp: Vec<(u64, u64)> = (0..8).map(|t| (t, t + 1)).collect();
        check(&ramp, 8, 1, &["▁▂▃▄▅▆▇█"]);
        check(&ramp, 8, 2, &["    ▂▄▆█", "▂▄▆█████"]);
    }

    #[test]
    fn a_column_shows_the_highest_of_its_time() {
        check(&[(0, 1), (1, 8), (2, 1), (79, 4)], 80, 1, &["███████▄"]);
    }

    #[test]
    fn nothing_known_is_blank_and_little_is_visible() {
        check(&[], 10, 1, &["        "]);
        check(&[(5, 0)], 10, 1, &["        "]);
        check(&[(5, 1), (7, 1_000_000)], 10, 1, &["    ▁███"]);
        check(&[(u64::MAX, u64::MAX)], 0, 1, &["       █"]);
    }
}
