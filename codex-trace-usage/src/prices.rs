//! What tokens cost: a dated table that is data, and sums without rounding.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::AddAssign;
use std::path::Path;

use codex_rollout::JsonText;
use codex_trace_model::{ModelCall, Timestamp, TokenUsage};
use serde_json::{Map, Value};

use codex_trace_export::json::Json;
use codex_trace_history::failure::Failure;
use codex_trace_history::small;
use codex_trace_history::words;

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

    /// Returns the amount as a number, as near as it gets.
    pub fn as_f64(self) -> f64 {
        self.to_string().parse().expect("it is written as a number")
    }

    /// Returns the amount in cents, rounded to the nearest.
    pub fn cents(self) -> u128 {
        (self.0 + UNITS / 200) / (UNITS / 100)
    }
}

/// What is not said in a rollout: a model's name, a directory, a day.
pub const UNKNOWN: &str = "unknown";

impl Dollars {
    /// Writes the amount for people, in cents: `$1.23`, `<$0.01`. What lacks the
    /// price of some tokens is marked `+?`.
    pub fn short(cost: Option<Dollars>, unpriced_tokens: u64) -> String {
        let more = if unpriced_tokens > 0 { "+?" } else { "" };
        match cost {
            Some(cost) if cost.is_under_a_cent() => format!("<$0.01{more}"),
            Some(cost) => {
                let cents = cost.cents();
                let dollars = u64::try_from(cents / 100).unwrap_or(u64::MAX);
                format!("${}.{:02}{more}", words::grouped(dollars), cents % 100)
            }
            None if unpriced_tokens > 0 => "?".to_owned(),
            None => "-".to_owned(),
        }
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
struct Rates {
    input: u128,
    cached_input: u128,
    cache_write_input: u128,
    output: u128,
}

/// The price of a request in one service tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Price {
    rates: Rates,
    /// What holds for the whole of a request with more input tokens than this.
    long_context: Option<(u64, Rates)>,
}

/// What a model costs from some day on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Prices {
    standard: Price,
    /// By the words of [`tier_of`].
    tiers: BTreeMap<String, Price>,
}

const SECONDS_OF_DAY: i64 = 24 * 60 * 60;

/// The provider of rows that name none, and of calls from before 0.51.
const OPENAI: &str = "openai";

/// The prices of a model, by the day from which on they hold, counted from the
/// first of 1970; the first price holds from the beginning of time.
type ByDay = BTreeMap<i64, Prices>;

/// Prices by provider, as Codex' configuration names it, and model.
#[derive(Clone, Debug, Default)]
pub struct PriceTable {
    providers: BTreeMap<String, BTreeMap<String, ByDay>>,
}

/// A model call, as far as its price depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'r> {
    /// The model.
    pub model: &'r str,
    /// Who was asked, if that is recorded.
    pub provider: Option<&'r str>,
    /// The service tier, if one was asked for.
    pub tier: Option<&'r str>,
    /// When.
    pub at: Option<Timestamp>,
    /// What it used.
    pub usage: &'r TokenUsage,
}

/// A model call that has no price.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NoPrice {
    model: String,
    why: Lacking,
}

/// What is not in the table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Lacking {
    Model,
    Provider(String),
    Tier(String),
    LongContext(String),
}

/// What has no price, for people.
impl fmt::Display for NoPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.model)?;
        match &self.why {
            Lacking::Model => Ok(()),
            Lacking::Provider(provider) => write!(f, " of the provider `{provider}`"),
            Lacking::Tier(tier) => write!(f, " in the service tier `{tier}`"),
            Lacking::LongContext(tier) => {
                write!(f, " in the service tier `{tier}` for requests this long")
            }
        }
    }
}

impl PriceTable {
    /// Reads the table that comes with the program and, over it, the user's:
    /// what that says of a provider's model replaces all that was known of it.
    ///
    /// # Errors
    ///
    /// If the user's file cannot be read or is no price table.
    pub fn load(own: Option<&Path>) -> Result<PriceTable, Failure> {
        let mut table = PriceTable::parse(TABLE).expect("the table in the program is one");
        if let Some(path) = own {
            let text = small::text_that_is_there(path).map_err(|err| {
                Failure::because(&format!("cannot read `{}`", path.display()), &err)
            })?;
            let own = PriceTable::parse(&text).map_err(|what| {
                Failure::new(format!("no price table: `{}`: {what}", path.display())).hint(
                    r#"it looks like {"prices": [{"model": "gpt-x", "input": 1.25, "cached_input": 0.125, "output": 10}]}, in US dollars per million tokens"#,
                )
            })?;
            table.lay_over(own);
        }
        Ok(table)
    }

    /// Returns the date on which the built-in table was last checked.
    pub fn checked() -> String {
        let table: Value = serde_json::from_str(TABLE).expect("the table in the program is JSON");
        table["checked"].as_str().expect("it says when").to_owned()
    }

    fn parse(text: &str) -> Result<PriceTable, String> {
        let value: Value = serde_json::from_str(text).map_err(|err| err.to_string())?;
        let rows = value.get("prices").and_then(Value::as_array).ok_or("it has no `prices`")?;
        let mut table = PriceTable::default();
        for (nth, row) in rows.iter().enumerate() {
            let row = row.as_object().ok_or(format!("price {} is not an object", nth + 1))?;
            let (provider, model, from, price) =
                read_row(row).map_err(|what| format!("price {}: {what}", nth + 1))?;
            let models = table.providers.entry(provider.to_owned()).or_default();
            models.entry(model.to_owned()).or_default().insert(from, price);
        }
        Ok(table)
    }

    /// Takes over another table: its prices of a model replace all others of it.
    fn lay_over(&mut self, own: PriceTable) {
        for (provider, models) in own.providers {
            self.providers.entry(provider).or_default().extend(models);
        }
    }

    /// Returns what a call cost at the list prices of the day it was made on.
    ///
    /// # Errors
    ///
    /// If the table has no price for it.
    pub fn cost(&self, request: &Request<'_>) -> Result<Dollars, NoPrice> {
        let lacks = |why| NoPrice { model: request.model.to_owned(), why };
        let prices = self.prices(request).ok_or_else(|| match request.provider {
            Some(provider) if provider != OPENAI => lacks(Lacking::Provider(provider.to_owned())),
            _ => lacks(Lacking::Model),
        })?;
        let usage = request.usage;
        let is_long = |price: &Price| {
            price.long_context.filter(|(above, _)| usage.input_tokens > *above).map(|it| it.1)
        };
        let rates = match tier_of(request.tier) {
            None => is_long(&prices.standard).unwrap_or(prices.standard.rates),
            Some(tier) => {
                let price = prices.tiers.get(tier);
                let price = price.ok_or_else(|| lacks(Lacking::Tier(tier.to_owned())))?;
                match (is_long(price), is_long(&prices.standard)) {
                    (Some(rates), _) => rates,
                    (None, None) => price.rates,
                    (None, Some(_)) => return Err(lacks(Lacking::LongContext(tier.to_owned()))),
                }
            }
        };
        Ok(rates.cost(usage))
    }

    /// Returns what a recorded model call cost: 0 where it used nothing.
    ///
    /// # Errors
    ///
    /// As [`cost`](Self::cost).
    pub fn cost_of(
        &self,
        call: &ModelCall<'_>,
        usage: &TokenUsage,
        at: Option<Timestamp>,
    ) -> Result<Option<Dollars>, NoPrice> {
        if usage.is_empty() {
            return Ok(None);
        }
        let [model, provider, tier] =
            [call.model, call.provider, call.service_tier].map(|it| it.map(JsonText::decode));
        self.cost(&Request {
            model: model.as_deref().unwrap_or(UNKNOWN),
            provider: provider.as_deref(),
            tier: tier.as_deref(),
            at,
            usage,
        })
        .map(Some)
    }

    /// Returns the models of OpenAI that have a price.
    pub fn models(&self) -> impl Iterator<Item = &str> {
        self.providers.get(OPENAI).into_iter().flat_map(BTreeMap::keys).map(String::as_str)
    }

    fn prices(&self, request: &Request<'_>) -> Option<&Prices> {
        let models = self.providers.get(request.provider.unwrap_or(OPENAI))?;
        let of = |model: &str| models.get(model);
        let known = of(request.model).or_else(|| of(undated(request.model)?))?;
        if known.len() == 1 {
            return known.values().next();
        }
        let day = request.at.map_or(i64::MAX, |at| at.as_second().div_euclid(SECONDS_OF_DAY));
        let (_, prices) = known.range(..=day).next_back().or_else(|| known.iter().next())?;
        Some(prices)
    }
}

impl Rates {
    /// Returns what the tokens of one request cost, each counted once.
    fn cost(&self, usage: &TokenUsage) -> Dollars {
        let cached = usage.cached_input_tokens.min(usage.input_tokens);
        let uncached = usage.input_tokens - cached;
        let written = usage.cache_write_input_tokens.unwrap_or(0).min(uncached);
        let parts = [
            (uncached - written, self.input),
            (cached, self.cached_input),
            (written, self.cache_write_input),
            (usage.output_tokens, self.output),
        ];
        Dollars(parts.iter().map(|(tokens, price)| u128::from(*tokens) * price).sum())
    }
}

/// Returns the word for a service tier; none for the standard one. Codex calls
/// `fast` what the API calls `priority`.
fn tier_of(recorded: Option<&str>) -> Option<&str> {
    match recorded? {
        "default" | "auto" | "standard" => None,
        "fast" => Some("priority"),
        other => Some(other),
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

/// Reads a row: provider, model, from which day on, and the prices.
fn read_row(row: &Map<String, Value>) -> Result<(&str, &str, i64, Prices), String> {
    let text = |key: &str| row.get(key).and_then(Value::as_str);
    let model = text("model").ok_or("it has no `model`")?;
    let provider = text("provider").unwrap_or(OPENAI);
    let from = match text("from").unwrap_or_default() {
        "" => i64::MIN,
        from => day_of(from).ok_or(format!("`from` cannot be `{from}`: give a date"))?,
    };
    let mut prices = Prices { standard: read_price(row)?, tiers: BTreeMap::new() };
    for (tier, price) in object(row, "tiers")?.into_iter().flatten() {
        let price = price.as_object().ok_or("it is not an object".to_owned()).and_then(read_price);
        let price = price.map_err(|what| format!("tier `{tier}`: {what}"))?;
        prices.tiers.insert(tier_of(Some(tier)).unwrap_or(tier).to_owned(), price);
    }
    Ok((provider, model, from, prices))
}

/// Returns the number of a date: how many days it is after the first of 1970.
fn day_of(date: &str) -> Option<i64> {
    let date: jiff::civil::Date = date.parse().ok()?;
    let midnight = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(midnight.timestamp().as_second().div_euclid(SECONDS_OF_DAY))
}

/// Returns the object under a key, if there is one.
fn object<'v>(
    of: &'v Map<String, Value>,
    key: &str,
) -> Result<Option<&'v Map<String, Value>>, String> {
    let read = |value: &'v Value| value.as_object().ok_or(format!("`{key}` is not an object"));
    of.get(key).map(read).transpose()
}

/// What a row, a tier or a `long_context` may say.
const KEYS: &[&str] = &[
    "model",
    "provider",
    "from",
    "source",
    "input",
    "cached_input",
    "cache_write_input",
    "output",
    "long_context",
    "tiers",
    "above",
];

fn read_price(row: &Map<String, Value>) -> Result<Price, String> {
    let read_long = |long: &Map<String, Value>| {
        let above = long.get("above").and_then(Value::as_u64);
        let above = above.ok_or("it has no `above`, a number of input tokens")?;
        Ok((above, read_rates(long)?))
    };
    let long_context = object(row, "long_context")?.map(read_long).transpose();
    let long_context = long_context.map_err(|what: String| format!("`long_context`: {what}"))?;
    Ok(Price { rates: read_rates(row)?, long_context })
}

fn read_rates(row: &Map<String, Value>) -> Result<Rates, String> {
    if let Some(key) = row.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(format!("it has a key `{key}`; known are {}", KEYS.join(", ")));
    }
    let price = |key: &str| match row.get(key) {
        Some(value) => per_token(value).map(Some).ok_or(format!("`{key}` cannot be `{value}`")),
        None => Ok(None),
    };
    let input = price("input")?.ok_or("it has no `input`")?;
    Ok(Rates {
        input,
        cached_input: price("cached_input")?.unwrap_or(input),
        cache_write_input: price("cache_write_input")?.unwrap_or(input),
        output: price("output")?.ok_or("it has no `output`")?,
    })
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
mod tests;
