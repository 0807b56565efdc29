//! One look at a host: facts, findings, and plans from them.

use seaworthy::audit::{self, Finding};
use seaworthy::catalog::Entry;
use seaworthy::facts::{self, Facts};
use seaworthy::host::{Host, Recorder};
use seaworthy::plan::{self, Choice, Inputs, Plan, Planned, diff};
use seaworthy::policy::Policy;
use seaworthy::report::plan_text::{self, Diff};

use crate::Checked;

/// What is asked.
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) entries: &'a [&'a Entry],
    pub(crate) policy: &'a Policy,
}

impl Question<'_> {
    /// The findings.
    pub(crate) fn audit(&self, host: &dyn Host) -> Vec<Finding> {
        let recorder = Recorder::new(host);
        let facts = facts::gather(&recorder, &audit::needs(self.entries));
        audit::audit(self.entries, &facts, self.policy)
    }

    /// The plan, the findings, and the facts that both come from.
    pub(crate) fn plan(&self, host: &dyn Host, choice: Choice) -> Checked<(Planned, Facts)> {
        self.with(host, choice, |inputs| {
            let planned = plan::plan(inputs);
            Ok((planned, inputs.facts.clone()))
        })
    }

    /// What the plan would be compared with before it is applied.
    pub(crate) fn evidence(&self, host: &dyn Host, plan: &Plan) -> Vec<String> {
        self.with(host, automatic(), |inputs| plan::evidence(inputs, plan))
    }

    /// A plan that was saved is planned again to the letter.
    pub(crate) fn saved(&self, host: &dyn Host, plan: &Plan) -> Checked {
        let text = serde_json::to_string(plan).map_err(|e| e.to_string())?;
        let saved: Plan = serde_json::from_str(&text).map_err(|e| e.to_string())?;
        match self.with(host, automatic(), |inputs| plan::vetted(&saved, inputs)) {
            Err(failure) => Err(format!("saved: {}: {}", failure.message, failure.causes.join("; "))),
            Ok(again) if again != *plan => Err(format!("saved, it is another plan: {again:?}")),
            Ok(_) => Ok(()),
        }
    }

    fn with<T>(&self, host: &dyn Host, choice: Choice, see: impl FnOnce(&Inputs<'_>) -> T) -> T {
        let recorder = Recorder::new(host);
        let facts = facts::gather(&recorder, &audit::needs(self.entries));
        see(&Inputs {
            host: &recorder,
            entries: self.entries,
            policy: self.policy,
            facts: &facts,
            choice,
            no_restart: false,
            put_back: &[],
            written: &self.entries.iter().map(|e| e.id.clone()).collect(),
        })
    }
}

/// Only what hurts nobody.
pub(crate) fn automatic() -> Choice {
    Choice::automatic()
}

/// A plan as `seaworthy plan` prints it; empty when there is nothing to do and nothing held.
pub(crate) fn document(plan: &Plan, facts: &Facts) -> String {
    if plan.is_empty() && plan.held.is_empty() {
        return String::new();
    }
    plan_text::document(plan, &|_| None, &|change| {
        let rendered = diff::render(change, &|uid, gid| facts.names.owner(uid, gid));
        Diff { text: rendered.text, patchable: rendered.patchable }
    })
}
