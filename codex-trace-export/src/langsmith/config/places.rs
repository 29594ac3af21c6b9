//! Where runs go: one place, or those of the replicas.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Config, Found, HOSTED, Layer, PROJECT};
use crate::langsmith::options::WORKSPACE_ID;
use crate::origin::NamedPlaces;
use crate::secret::{Secret, mask};
use crate::{Address, ConfigError, Origin, Said, Settings, key};

/// Where one copy of the runs goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::langsmith) struct Place {
    /// Without a slash at its end.
    pub(in crate::langsmith) endpoint: Address,
    pub(in crate::langsmith) key: Option<Secret>,
    pub(in crate::langsmith) project: String,
    /// The workspace, for keys that are good for several.
    pub(in crate::langsmith) workspace: Option<String>,
    /// What this copy's runs say beside what all say.
    pub(in crate::langsmith) metadata: Map<String, Value>,
}

/// Returns the metadata that a replica changes. It may say what no run of ours can
/// be changed in: that is told, and not left out.
fn updated(updates: Option<Value>) -> Result<Map<String, Value>, ConfigError> {
    let refused = |name: &str| {
        ConfigError::new(format!("`updates` of a replica: `{name}` of a run cannot be changed"))
            .hint("only `metadata` can")
    };
    let mut metadata = Map::new();
    let Some(Value::Object(updates)) = updates else {
        return if updates.is_none() { Ok(metadata) } else { Err(refused("all")) };
    };
    for (name, value) in updates {
        match (&*name, value) {
            ("metadata", Value::Object(said)) => metadata.extend(said),
            ("extra", Value::Object(extra)) => {
                for (name, value) in extra {
                    match (&*name, value) {
                        ("metadata", Value::Object(said)) => metadata.extend(said),
                        _ => return Err(refused(&format!("extra.{name}"))),
                    }
                }
            }
            _ => return Err(refused(&name)),
        }
    }
    Ok(metadata)
}

/// A place, with where its address and its key were said.
pub(super) struct Target {
    pub(super) place: Place,
    address: Said<Address>,
    key_from: Option<Origin>,
}

/// The plugin takes both spellings; its SDK only the second, which is why its
/// replicas never worked.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Replica {
    #[serde(alias = "apiUrl")]
    api_url: Option<String>,
    #[serde(alias = "apiKey")]
    api_key: Option<Secret>,
    #[serde(alias = "projectName")]
    project: Option<String>,
    updates: Option<Value>,
}

impl Config {
    /// Returns the places to upload to: one, or those of the replicas. As in the
    /// SDK, replicas stand in the place of the one destination, and take from it
    /// what they do not say.
    pub(super) fn targets(
        &mut self,
        settings: &Settings,
        all: &Layer,
    ) -> Result<Vec<Target>, ConfigError> {
        let primary = self.primary(settings, all)?;
        let replicas = all.replicas.clone().unwrap_or_default();
        if replicas.is_empty() {
            return Ok(vec![primary]);
        }
        let from = self.said_at("replicas");
        let mut targets: Vec<Target> = Vec::new();
        for replica in replicas {
            let address = match &replica.api_url {
                Some(url) => Said::new(endpoint(url)?, from.clone()),
                None => primary.address.clone(),
            };
            let own = replica.api_key.map(|key| Said::new(key, from.clone()));
            let own = own.map(key::clean).transpose()?;
            let elsewhere = own.is_some();
            let key_from = own.as_ref().map(|said| said.from.clone());
            // A key within the same replica is for its address, whatever else is said.
            let is_whole = elsewhere && replica.api_url.is_some();
            let target = Target {
                place: Place {
                    endpoint: address.value.clone(),
                    key: own.map(|said| said.value).or_else(|| primary.place.key.clone()),
                    project: replica.project.unwrap_or_else(|| primary.place.project.clone()),
                    workspace: primary.place.workspace.clone().filter(|_| !elsewhere),
                    metadata: updated(replica.updates)?,
                },
                address,
                key_from: key_from.or_else(|| primary.key_from.clone()).filter(|_| !is_whole),
            };
            if targets.iter().all(|other| other.place != target.place) {
                targets.push(target);
            }
        }
        Ok(targets)
    }

    fn primary(&self, settings: &Settings, all: &Layer) -> Result<Target, ConfigError> {
        let url = all.api_url.as_deref().unwrap_or(HOSTED);
        let address = Said::new(endpoint(url)?, self.said_at("api_url"));
        let key = all.api_key.clone().map(|key| Said::new(key, self.said_at("api_key")));
        let key = key.map(key::clean).transpose()?;
        let key_from = key.as_ref().map(|said| said.from.clone());
        let place = Place {
            endpoint: address.value.clone(),
            key: key.map(|said| said.value),
            project: all.project.clone().unwrap_or_else(|| PROJECT.to_owned()),
            workspace: workspace(settings).map(|said| said.value),
            metadata: Map::new(),
        };
        Ok(Target { place, address, key_from })
    }

    /// Checks that every key goes only to the place that it was set for.
    pub(super) fn admit(&self, targets: &[Target]) -> Result<(), ConfigError> {
        let mut named = NamedPlaces::default();
        self.addresses.iter().rev().for_each(|said| named.push(Some(said.clone())));
        let with_key = |target: &Target| Some((target.key_from.clone()?, target.address.clone()));
        targets.iter().filter_map(with_key).try_for_each(|(key, to)| named.admit(&key, &to))
    }

    /// Shows the replicas one by one, and nothing that none of them takes.
    pub(super) fn show_replicas(&mut self, all: &Layer, targets: &[Target]) {
        let replicas = all.replicas.as_deref().unwrap_or_default();
        if replicas.is_empty() {
            return;
        }
        let unused = [
            ("api_url", replicas.iter().all(|it| it.api_url.is_some())),
            ("api_key", replicas.iter().all(|it| it.api_key.is_some())),
            ("project", replicas.iter().all(|it| it.project.is_some())),
        ];
        self.found.retain(|found| !unused.contains(&(found.name, true)));
        let from = self.said_at("replicas");
        for Target { place, .. } in targets {
            let key = place.key.as_ref().map_or_else(|| "none".to_owned(), |it| mask(it.expose()));
            let value = format!("{} {}, key {key}", place.endpoint, place.project);
            self.found.push(Found { name: "replica", value, from: from.clone() });
        }
    }
}

impl Place {
    /// Whether runs uploaded to both would lie side by side.
    pub(in crate::langsmith) fn is_same_project(&self, other: &Place) -> bool {
        self.endpoint.is_same(&other.endpoint) && self.project == other.project
    }

    /// Whether the vendor runs it: other rules hold there than at home.
    pub(in crate::langsmith) fn is_hosted(&self) -> bool {
        let host = self.endpoint.host();
        host == "api.smith.langchain.com" || host.ends_with(".api.smith.langchain.com")
    }
}

/// Returns the workspace, for keys that are good for several.
pub(super) fn workspace(settings: &Settings) -> Option<Said<String>> {
    settings.said_workspace().or_else(|| settings.var_of(&WORKSPACE_ID))
}

fn endpoint(url: &str) -> Result<Address, ConfigError> {
    let like = || format!("give one like {HOSTED} or https://HOST/api");
    let address = Address::parse(url).map_err(|no| ConfigError::new(no.message).hint(like()))?;
    Ok(Address::unchecked(address.expose().trim_end_matches('/')))
}
