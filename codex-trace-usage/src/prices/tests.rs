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

fn request<'r>(model: &'r str, usage: &'r TokenUsage) -> Request<'r> {
    Request { model, provider: None, tier: None, at: None, usage }
}

fn dollars(table: &PriceTable, request: &Request<'_>) -> String {
    match table.cost(request) {
        Ok(cost) => cost.to_string(),
        Err(lacking) => format!("no price for {lacking}"),
    }
}

#[test]
fn a_call_costs_what_its_tokens_cost_each_counted_once() {
    let table = PriceTable::parse(
        r#"{"prices": [{"model": "m", "input": 2.5, "cached_input": 0.25, "cache_write_input": 3, "output": 15}]}"#,
    )
    .unwrap();
    // 600 × 2.5 + 300 × 0.25 + 100 × 3 + 10 × 15 = 2 025 millionths.
    assert_eq!(dollars(&table, &request("m", &usage(1000, 300, 100, 10))), "0.002025");
    assert_eq!(dollars(&table, &request("unknown", &usage(1, 0, 0, 1))), "no price for `unknown`");
    // A file that claims more cached than sent costs no negative amount.
    assert_eq!(dollars(&table, &request("m", &usage(10, 50, 50, 0))), "0.0000025");
}

#[test]
fn the_price_is_that_of_the_day() {
    let table = PriceTable::parse(
        r#"{"prices": [{"model": "m", "input": 5, "output": 1}, {"model": "m", "from": "2026-08-21", "input": 4, "output": 1}]}"#,
    )
    .unwrap();
    let used = usage(1_000_000, 0, 0, 0);
    let cost = |model: &str, at: &str| {
        dollars(&table, &Request { at: at.parse().ok(), ..request(model, &used) })
    };
    assert_eq!(cost("m", "2026-08-20T23:59:59Z"), "5");
    assert_eq!(cost("m", "2026-08-21T00:00:00Z"), "4");
    assert_eq!(cost("m", "no time: the price of today"), "4");
    assert_eq!(cost("m-2026-01-31", "2026-09-01T00:00:00Z"), "4");
    assert_eq!(cost("m-2026-01-3", ""), "no price for `m-2026-01-3`");
}

/// Requests of 500 000 tokens in and 1 000 out by the rule that OpenAI
/// publishes: above 272 000, twice the input, 1.5 times the output.
#[test]
fn long_requests_cost_more_for_all_of_their_tokens() {
    let table = PriceTable::load(None).unwrap();
    let long = usage(500_000, 0, 0, 1_000);
    let at = "2026-09-12T08:00:00Z".parse().ok();
    for (model, cost) in
        [("gpt-5.4", "2.5225"), ("gpt-5.5", "5.045"), ("gpt-5.6-sol", "4.03"), ("gpt-5.2", "0.889")]
    {
        assert_eq!(dollars(&table, &Request { at, ..request(model, &long) }), cost, "{model}");
    }
    // The cached part, too: 300 000 × 10 + 200 000 × 1 + 1 000 × 45.
    let cached = usage(500_000, 200_000, 0, 1_000);
    assert_eq!(dollars(&table, &request("gpt-5.5", &cached)), "3.245");
    // 272 000 is not above it: 272 000 × 5.
    assert_eq!(dollars(&table, &request("gpt-5.5", &usage(272_000, 0, 0, 0))), "1.36");
    assert_eq!(dollars(&table, &request("gpt-5.5", &usage(272_001, 0, 0, 0))), "2.72001");
}

#[test]
fn a_service_tier_has_a_price_of_its_own() {
    let table = PriceTable::load(None).unwrap();
    let (short, long) = (usage(100_000, 0, 0, 1_000), usage(500_000, 0, 0, 1_000));
    let cost = |model, tier, usage| {
        dollars(&table, &Request { tier: Some(tier), ..request(model, usage) })
    };
    // 100 000 × 12.5 + 1 000 × 75 millionths, two and a half times the standard.
    assert_eq!(cost("gpt-5.5", "priority", &short), "1.325");
    assert_eq!(cost("gpt-5.5", "fast", &short), "1.325");
    assert_eq!(cost("gpt-5.5", "default", &short), "0.53");
    assert_eq!(cost("gpt-5.5", "flex", &short), "0.265");
    assert_eq!(cost("gpt-5.5", "batch", &long), "2.5225");
    // 500 000 × 8 + 1 000 × 30.
    assert_eq!(cost("gpt-6.2-sol", "priority", &long), "4.03");
    assert_eq!(
        cost("gpt-5.5", "priority", &long),
        "no price for `gpt-5.5` in the service tier `priority` for requests this long"
    );
    assert_eq!(
        cost("gpt-5.3-codex", "priority", &short),
        "no price for `gpt-5.3-codex` in the service tier `priority`"
    );
}

#[test]
fn the_price_is_that_of_the_provider() {
    let own =
        r#"{"prices": [{"model": "gpt-5.2", "provider": "azure", "input": 2, "output": 20}]}"#;
    let mut table = PriceTable::load(None).unwrap();
    table.lay_over(PriceTable::parse(own).unwrap());
    let used = usage(1_000_000, 0, 0, 0);
    let cost = |provider| dollars(&table, &Request { provider, ..request("gpt-5.2", &used) });
    assert_eq!(cost(Some("openai")), "1.75");
    // Before 0.51 no provider was recorded.
    assert_eq!(cost(None), "1.75");
    assert_eq!(cost(Some("azure")), "2");
    assert_eq!(cost(Some("ollama")), "no price for `gpt-5.2` of the provider `ollama`");
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
        (r#"{"prices": [1]}"#, "price 1 is not an object"),
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
        (
            r#"{"prices": [{"model": "m", "input": 1, "output": 1, "tier": {}}]}"#,
            "price 1: it has a key `tier`; known are model, provider, from, source, input, cached_input, cache_write_input, output, long_context, tiers, above",
        ),
        (
            r#"{"prices": [{"model": "m", "input": 1, "output": 1, "tiers": []}]}"#,
            "price 1: `tiers` is not an object",
        ),
        (
            r#"{"prices": [{"model": "m", "input": 1, "output": 1, "tiers": {"flex": {"input": 1}}}]}"#,
            "price 1: tier `flex`: it has no `output`",
        ),
        (
            r#"{"prices": [{"model": "m", "input": 1, "output": 1, "long_context": {"input": 1, "output": 1}}]}"#,
            "price 1: `long_context`: it has no `above`, a number of input tokens",
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
