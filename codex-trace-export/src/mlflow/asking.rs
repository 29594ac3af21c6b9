//! What the server is asked before anything is sent to it: for the experiment,
//! for what the live plugin has sent, and for what other experiments have.

use super::Mlflow;
use super::elsewhere::Elsewhere;
use super::live::LiveTraces;
use crate::request::{Request, Response};
use crate::{ConfigError, Inquiry, Learned, Protocol as _, Question};

/// What is known so far, and what was asked last.
pub(super) struct Asking {
    known: Mlflow,
    about: About,
}

/// What a question is about.
#[derive(Clone, Copy, Debug)]
enum About {
    /// The experiment, by id or name.
    Experiment,
    /// The experiment that was made.
    NewExperiment,
    /// The traces of the live plugin.
    Live,
    /// The other experiments, and our traces in them.
    Elsewhere,
}

impl Asking {
    /// Asks for the experiment, knowing nothing.
    pub(super) fn begin(exporter: &Mlflow) -> Question {
        let known = Mlflow {
            live: LiveTraces::default(),
            elsewhere: Elsewhere::default(),
            ..exporter.clone()
        };
        let request = known.server.ask();
        Box::new(Asking { known, about: About::Experiment }).question(About::Experiment, request)
    }

    fn question(mut self: Box<Self>, about: About, request: Request) -> Question {
        self.about = about;
        Question { request, inquiry: self }
    }

    fn ask_for_live_traces(mut self: Box<Self>) -> Question {
        self.known.contract.routes = self.known.routes();
        let request = LiveTraces::first_page(&self.known.server);
        self.question(About::Live, request)
    }

    fn ask_elsewhere(mut self: Box<Self>) -> Learned {
        // With ids of its own, nothing is in two places.
        if self.known.id_space().is_none() {
            return Learned::All(Box::new(self.known));
        }
        let request = self.known.elsewhere.first_question(&self.known.server);
        Learned::More(self.question(About::Elsewhere, request))
    }
}

impl Inquiry for Asking {
    fn learn(mut self: Box<Self>, answer: &Response) -> Result<Learned, ConfigError> {
        let Mlflow { server, live, elsewhere, .. } = &mut self.known;
        Ok(match self.about {
            About::Experiment => match server.take_experiment(answer)? {
                Some(make) => Learned::More(self.question(About::NewExperiment, make)),
                None => Learned::More(self.ask_for_live_traces()),
            },
            About::NewExperiment => {
                server.take_id(answer)?;
                Learned::More(self.ask_for_live_traces())
            }
            About::Live => match live.next_page(server, answer)? {
                Some(page) => Learned::More(self.question(About::Live, page)),
                None => self.ask_elsewhere(),
            },
            About::Elsewhere => match elsewhere.next_question(server, answer)? {
                Some(more) => Learned::More(self.question(About::Elsewhere, more)),
                None => Learned::All(Box::new(self.known)),
            },
        })
    }
}
