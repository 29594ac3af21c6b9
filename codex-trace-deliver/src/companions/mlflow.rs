//! What MLflow's live plugin keeps: nothing beside rollouts, and in projects the
//! file that its `setup` writes.

use std::path::Path;

use codex_trace_export::Settings;
use serde::Deserialize;
use serde_json::Value;

use crate::companions::projects::{Projects, senseless};
use crate::companions::{Companion, OfProject, PlaceOfProject};

/// The companion of MLflow.
#[derive(Debug)]
struct Mlflow {
    projects: Projects,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct File {
    tracking_uri: Option<String>,
    experiment_id: Option<Value>,
    trace_location: Option<String>,
}

/// Makes the companion for the settings of a destination.
pub fn companion(settings: &Settings) -> Box<dyn Companion> {
    Box::new(Mlflow { projects: Projects::new("mlflow-tracing.json", settings) })
}

impl Companion for Mlflow {
    fn project(&self, cwd: &Path) -> OfProject {
        self.projects.of(cwd, |path, text| match serde_json::from_str::<File>(text) {
            Ok(file) => OfProject { place: file.place(path), ..OfProject::default() },
            Err(err) => senseless(path, &err),
        })
    }
}

impl File {
    fn place(self, path: &Path) -> Option<PlaceOfProject> {
        let id = match self.experiment_id {
            Some(Value::String(text)) => Some(text.trim().to_owned()),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        };
        let project = id.filter(|id| !id.is_empty()).map(|id| ("experimentId", id));
        let said = |text: &Option<String>| text.as_ref().is_some_and(|it| !it.trim().is_empty());
        let more = [
            ("trackingUri", said(&self.tracking_uri)),
            ("traceLocation", said(&self.trace_location)),
        ];
        let more: Vec<_> = more.into_iter().filter(|it| it.1).map(|it| it.0).collect();
        let server = self.tracking_uri.filter(|_| more.contains(&"trackingUri"));
        let names_one = project.is_some() || !more.is_empty();
        names_one.then(|| PlaceOfProject { file: path.to_owned(), server, project, more })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_file_names_is_found() {
        let place = |text: &str| {
            serde_json::from_str::<File>(text).unwrap().place(Path::new("/p/.codex/f"))
        };
        let all = place(r#"{"trackingUri":"http://h","experimentId":7}"#).unwrap();
        assert_eq!(all.server.as_deref(), Some("http://h"));
        assert_eq!(all.project, Some(("experimentId", "7".to_owned())));
        assert_eq!(all.names(), "`trackingUri`, `experimentId`");
        assert_eq!(place(r#"{"trackingUri":" ","experimentId":""}"#), None);
    }
}
