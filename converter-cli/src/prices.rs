//! What tokens cost: a dated table that is data, and sums without rounding.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::AddAssign;
use std::path::Path;

use anyhow::Context;
use codex_trace_model::{Timestamp, TokenUsage};
use serde_json::{Map, Value};

use crate::failure::Failure;
use codex_trace_export::json::Json;

/// The table that comes with the program; the sources of its rows are in it.
const TABLE: &str = include_str!("../data/prices.json");

/// An amount of money in millionths of a millionth of a US dollar: what one
/// token costs is a whole number of these, so sums are exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dollars(u128);

/// How many of the units make one dollar.
const UNITS: u128 = 1_000_000_000_000;

impl Dollars {
    /// Whether it is something, and rounds to no cent.
    pub fn is_under_a_cent(self) -> bool {
        self.0 > 0 && self.cents() == 0
    }

    /// Returns the amount in cents, rounded to the nearest.
    pub fn cents(self) -> u128 {
        (self.0 + UNITS / 200) / (UNITS / 100)
    }
}

impl AddAssign for Dollars {
    fn add_assign(&mut self, other: Dollars) {
        self.0 += other.0;
    }
}

/// As a number with as many decimals as it takes.
impl fmt::Display for Dollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = format!("{:012}", self.0 % UNITS);
        let decimals = decimals.trim_end_matches('0');
        let point = if decimals.is_empty() { "" } else { "." };
        write!(f, "{}{point}{decimals}", self.0 / UNITS)
    }
}

impl Json for Dollars {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.to_string().as_bytes());
    }
}

/// The price of one token of each kind, in units of [`Dollars`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Price {
    input: u128,
    cached_input: u128,
    cache_write_input: u128,
    output: u128,
}

/// Prices by model, and from which day on they hold: `YYYY-MM-DD`, empty for a
/// model's first price.
#[derive(Clone, Debug)]
pub struct PriceTable {
    prices: BTreeMap<String, BTreeMap<String, Price>>,
}

impl PriceTable {
    /// Reads the table that comes with the program and, over it, the user's:
    /// what that says of a model replaces all that was known of it.
    ///
    /// # Errors
    ///
    /// If the user's file cannot be read or is no price table.
    pub fn load(own: Option<&Path>) -> anyhow::Result<PriceTable> {
        let mut table = PriceTable::parse(TABLE).expect("the table in the program is one");
        if let Some(path) = own {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read `{}`", path.display()))?;
            let own = PriceTable::parse(&text).map_err(|what| {
                Failure::new(format!("no price table: `{}`: {what}", path.display())).hint(
                    r#"it looks like {"prices": [{"model": "gpt-x", "input": 1.25, "cached_input": 0.125, "output": 10}]}, in US dollars per million tokens"#,
                )
            })?;
            table.prices.extend(own.prices);
        }
        Ok(table)
    }

    fn parse(text: &str) -> Result<PriceTable, String> {
        let value: Value = serde_json::from_str(text).map_err(|err| err.to_string())?;
        let rows = value.get("prices").and_then(Value::as_array).ok_or("it has no `prices`")?;
        let mut prices: BTreeMap<String, BTreeMap<String, Price>> = BTreeMap::new();
        for (nth, row) in rows.iter().enumerate() {
            let row = row.as_object().ok_or(format!("price {} is no object", nth + 1))?;
            let (model, from, price) =
                read_row(row).map_err(|what| format!("price {}: {what}", nth + 1))?;
            prices.entry(model).or_default().insert(from, price);
        }
        Ok(PriceTable { prices })
    }

    /// Returns what a call cost, by the prices of the day it was made on;
    /// `None` if the model is not in the table.
    pub fn cost(&self, model: &str, usage: &TokenUsage, at: Option<Timestamp>) -> Option<Dollars> {
        let price = self.price(model, at)?;
        let cached = usage.cached_input_tokens.min(usage.input_tokens);
        let uncached = usage.input_tokens - cached;
        let written = usage.cache_write_input_tokens.unwrap_or(0).min(uncached);
        let parts = [
            (uncached - written, price.input),
            (cached, price.cached_input),
            (written, price.cache_write_input),
            (usage.output_tokens, price.output),
        ];
        Some(Dollars(parts.iter().map(|(tokens, price)| u128::from(*tokens) * price).sum()))
    }

    fn price(&self, model: &str, at: Option<Timestamp>) -> Option<&Price> {
        let known = self.prices.get(model).or_else(|| self.prices.get(undated(model)?))?;
        let day = at.map_or_else(|| "9999".to_owned(), |at| at.to_string()[..10].to_owned());
        let (_, price) = known.range(..=day).next_back().or_else(|| known.iter().next())?;
        Some(price)
    }
}

/// Returns a model's name without the date of its snapshot: `gpt-x-2026-01-31`.
fn undated(model: &str) -> Option<&str> {
    let (name, date) = model.split_at_checked(model.len().checked_sub(11)?)?;
    let is_date = date.bytes().enumerate().all(|(nth, byte)| match nth {
        0 | 5 | 8 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    is_date.then_some(name)
}

fn read_row(row: &Map<String, Value>) -> Result<(String, String, Price), String> {
    let text = |key: &str| row.get(key).and_then(Value::as_str);
    let model = text("model").ok_or("it has no `model`")?;
    let from = text("from").unwrap_or_default();
    let is_date = from.is_empty() || from.parse::<jiff::civil::Date>().is_ok();
    if !is_date {
        return Err(format!("`from` cannot be `{from}`: give a date"));
    }
    let price = |key: &str| match row.get(key) {
        Some(value) => per_token(value).map(Some).ok_or(format!("`{key}` cannot be `{value}`")),
        None => Ok(None),
    };
    let input = price("input")?.ok_or("it has no `input`")?;
    let price = Price {
        input,
        cached_input: price("cached_input")?.unwrap_or(input),
        cache_write_input: price("cache_write_input")?.unwrap_or(input),
        output: price("output")?.ok_or("it has no `output`")?,
    };
    Ok((model.to_owned(), from.to_owned(), price))
}

/// Reads dollars per million tokens, of which six decimals count, as units per
/// token: the same digits.
fn per_token(value: &Value) -> Option<u128> {
    let dollars = value.as_f64().filter(|dollars| (0.0..1e9).contains(dollars))?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 0 to a billion dollars"
    )]
    let units = (dollars * 1e6).round() as u128;
    Some(units)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(input: u64, cached: u64, written: u64, output: u64) -> TokenUsage {
        TokenUsage {
            input_tokens: input,
            cached_input_tokens: cached,
            cache_write_input_tokens: Some(written),
            output_tokens: output,
            reasoning_output_tokens: output / 2,
            total_tokens: input + output,
        }
    }

    #[test]
    fn a_call_costs_what_its_tokens_cost_each_counted_once() {
        let table = PriceTable::parse(
            r#"{"prices": [{"model": "m", "input": 2.5, "cached_input": 0.25, "cache_write_input": 3, "output": 15}]}"#,
        )
        .unwrap();
        // 600 × 2.5 + 300 × 0.25 + 100 × 3 + 10 × 15 = 2 025 millionths.
        let cost = table.cost("m", &usage(1000, 300, 100, 10), None).unwrap();
        assert_eq!(cost.to_string(), "0.002025");
        assert_eq!(table.cost("unknown", &usage(1, 0, 0, 1), None), None);
        // A file that claims more cached than sent costs no negative amount.
        assert_eq!(table.cost("m", &usage(10, 50, 50, 0), None).unwrap().to_string(), "0.0000025");
    }

    #[test]
    fn the_price_is_that_of_the_day() {
        let table = PriceTable::parse(
            r#"{"prices": [{"model": "m", "input": 5, "output": 1}, {"model": "m", "from": "2026-08-21", "input": 4, "output": 1}]}"#,
        )
        .unwrap();
        let cost = |model: &str, at: &str| {
            let at = at.parse().ok();
            table.cost(model, &usage(1_000_000, 0, 0, 0), at).unwrap().to_string()
        };
        assert_eq!(cost("m", "2026-08-20T23:59:59Z"), "5");
        assert_eq!(cost("m", "2026-08-21T00:00:00Z"), "4");
        assert_eq!(cost("m", "no time: the price of today"), "4");
        assert_eq!(cost("m-2026-01-31", "2026-09-01T00:00:00Z"), "4");
        let unknown = table.cost("m-2026-01-3", &usage(1, 0, 0, 0), None);
        assert_eq!(unknown, None);
    }

    #[test]
    fn amounts_are_exact() {
        assert_eq!(Dollars(0).to_string(), "0");
        assert_eq!(Dollars(1_250_000).to_string(), "0.00000125");
        assert_eq!(Dollars(12 * UNITS).to_string(), "12");
        assert_eq!((Dollars(UNITS / 200).cents(), Dollars(UNITS / 200 - 1).cents()), (1, 0));
    }

    #[test]
    fn what_is_no_table_is_refused() {
        for (text, what) in [
            ("{}", "it has no `prices`"),
            (r#"{"prices": [1]}"#, "price 1 is no object"),
            (r#"{"prices": [{"input": 1}]}"#, "price 1: it has no `model`"),
            (r#"{"prices": [{"model": "m", "input": 1}]}"#, "price 1: it has no `output`"),
            (
                r#"{"prices": [{"model": "m", "input": -1, "output": 1}]}"#,
                "price 1: `input` cannot be `-1`",
            ),
            (
                r#"{"prices": [{"model": "m", "from": "May", "input": 1, "output": 1}]}"#,
                "price 1: `from` cannot be `May`: give a date",
            ),
        ] {
            assert_eq!(PriceTable::parse(text).unwrap_err(), what);
        }
    }

    /// Every row of the table names where it is from.
    #[test]
    fn every_price_has_a_source() {
        let table: Value = serde_json::from_str(TABLE).unwrap();
        assert!(table["checked"].as_str().unwrap().parse::<jiff::civil::Date>().is_ok());
        for row in table["prices"].as_array().unwrap() {
            let source = row["source"].as_str().unwrap();
            assert!(table["sources"][source].is_string(), "{row}");
        }
    }
}
