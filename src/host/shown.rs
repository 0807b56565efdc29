//! Commands as a person would type them: in plans, in messages, and where systemd is missing, to be run by hand.

use std::fmt;

use super::seam::Command;

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let systemctl = |verb: &str, units: &[String]| format!("systemctl {verb} {}", line(units));
        let one = std::slice::from_ref::<String>;
        f.write_str(&match self {
            Self::Install { argv } | Self::ValidateDaemon { argv } => line(argv),
            Self::Enable(unit) => systemctl("enable", one(unit)),
            Self::Disable(unit) => systemctl("disable", one(unit)),
            Self::Start(unit) => systemctl("start", one(unit)),
            Self::Stop(unit) => systemctl("stop", one(unit)),
            Self::Restart(unit) => systemctl("restart", one(unit)),
            Self::Reload(unit) => systemctl("reload", one(unit)),
            Self::ResetFailed(units) => systemctl("reset-failed", units),
            Self::DaemonReload => "systemctl daemon-reload".into(),
            Self::LoadAuditRules => "augenrules --load".into(),
            Self::AddAuditRule(rule) => format!("auditctl {rule}"),
            Self::RemoveAuditRule(rule) => format!("auditctl {}", removal(rule)),
            Self::ArmTimer { unit, seconds, argv } => {
                format!("systemd-run --unit={unit} --on-active={seconds} {}", line(argv))
            }
            Self::ComposeCheck(_) | Self::ComposeHash { .. } | Self::ComposeUp { .. } => composed(self),
            Self::RemoveContainer { id, .. } => format!("docker rm {id}"),
            Self::DisarmTimer(unit) => format!("systemctl stop {unit}.timer"),
        })
    }
}

/// A rule is removed by the capital of the option that added a watch, and by `-d` where `-a` added it.
fn removal(rule: &str) -> String {
    match (rule.strip_prefix("-w "), rule.strip_prefix("-a ")) {
        (Some(rest), _) => format!("-W {rest}"),
        (_, Some(rest)) => format!("-d {rest}"),
        (None, None) => format!("-d {rule}"),
    }
}

fn composed(command: &Command) -> String {
    let Some((project, argv)) = command.compose_argv() else { return String::new() };
    let typed = project.tool.typed().into_iter().filter(|word| !word.is_empty()).map(str::to_owned);
    line(&typed.chain(argv).collect::<Vec<_>>())
}

fn line(words: &[String]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// A word as a shell needs it, for whoever pastes the line.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_can_be_pasted() {
        let argv = ["/bin/x", "a b", "it's", ""].map(String::from).to_vec();
        assert_eq!(Command::Install { argv }.to_string(), r"/bin/x 'a b' 'it'\''s' ''");
        assert_eq!(Command::Enable("auditd.service".into()).to_string(), "systemctl enable auditd.service");
        let units = vec!["docker.service".into(), "docker.socket".into()];
        assert_eq!(Command::ResetFailed(units).to_string(), "systemctl reset-failed docker.service docker.socket");
    }

    #[test]
    fn a_rule_is_removed_by_the_opposite_option() {
        let removed = |rule: &str| Command::RemoveAuditRule(rule.into()).to_string();
        assert_eq!(removed("-w /etc/docker -p wa -k docker"), "auditctl -W /etc/docker -p wa -k docker");
        assert_eq!(removed("-a never,task"), "auditctl -d never,task");
    }
}
