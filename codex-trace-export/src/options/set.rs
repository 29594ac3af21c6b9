use std::collections::BTreeMap;

use super::{Opt, OptionSpec, OptionValue, Value};
use crate::{Origin, Said};

/// Values of options, with where each was said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OptionSet(BTreeMap<&'static str, Said<Value>>);

impl OptionSet {
    /// Returns the value of an option, if anybody has said one.
    pub fn get<T: OptionValue>(&self, option: &Opt<T>) -> Option<Said<T>> {
        let said = self.0.get(option.name())?;
        Some(Said::new(T::from_value(&said.value)?, said.from.clone()))
    }

    /// Sets an option whose type is not known here. The value must be of the
    /// option's kind; any other is as good as none.
    pub fn put(&mut self, spec: &OptionSpec, value: Said<Value>) {
        self.0.insert(spec.name(), value);
    }

    /// Sets an option as its flag does.
    #[must_use]
    pub fn with<T: OptionValue>(mut self, option: &Opt<T>, value: T) -> OptionSet {
        let flag = option.spec.flag.map_or(option.name(), super::Flag::name);
        self.put(&option.spec, Said::new(value.into_value(), Origin::flag(format!("--{flag}"))));
        self
    }

    /// Sets an option to a value as it is given on the command line.
    ///
    /// # Errors
    ///
    /// If the option takes no such value: what it takes, for people.
    pub fn put_text(&mut self, spec: &OptionSpec, text: &str) -> Result<(), String> {
        let flag = spec.flag.map_or(spec.name(), super::Flag::name);
        let value = spec.kind.parse(text)?;
        self.put(spec, Said::new(value, Origin::flag(format!("--{flag}"))));
        Ok(())
    }

    /// Returns all values by the names of their options.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Said<Value>)> {
        self.0.iter().map(|(name, said)| (*name, said))
    }
}
