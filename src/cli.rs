//! The command line. Doc comments are the help.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{ArgAction, ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::error::{Failure, Kind, Result};

const EXAMPLES: &str = "\
Examples:
  sudo seaworthy                          audit, then review each fix
  seaworthy audit                         what is open on this host
  seaworthy plan                          the exact diff; changes nothing
  seaworthy plan --out fixes.json         save the plan ...
  sudo seaworthy apply fixes.json         ... and apply that and nothing else
  sudo seaworthy apply --yes              all that cannot hurt this host
  sudo seaworthy rollback                 undo the last run

Exit codes:
   0  nothing open, or all that was asked is done
   1  error, host unchanged
   2  findings open (audit), changes to make (plan)
   3  refused: needs something first (root, --yes off a terminal, the lock,
      an unfinished run undone, a new plan because the host moved on)
   4  apply failed, host rolled back
   5  rollback incomplete, look at the host
  64  usage
  70  bug";

/// Audits a Docker host, shows each fix as a diff, applies what is approved, and can take all of it back
///
/// Without a subcommand, on a terminal: audits, then walks through the fixes one by one.
#[derive(Clone, Debug, Parser)]
#[command(name = "seaworthy", version, after_help = EXAMPLES, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do; `None`: the guided review.
    #[command(subcommand)]
    pub command: Option<Sub>,
    /// What every subcommand takes.
    #[command(flatten)]
    pub global: Global,
}

/// Options that every subcommand takes.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Everywhere")]
pub struct Global {
    /// Only these checks: slugs, numbers, or patterns such as `daemon.*` (repeat, or separate by commas)
    #[arg(long, global = true, value_name = "PATTERN", value_delimiter = ',', action = ArgAction::Append)]
    pub check: Vec<String>,
    /// Not these checks
    #[arg(long, global = true, value_name = "PATTERN", value_delimiter = ',', action = ArgAction::Append)]
    pub skip: Vec<String>,
    /// Only these subjects, such as `path:/etc/docker`
    #[arg(long, global = true, value_name = "PATTERN", value_delimiter = ',', action = ArgAction::Append)]
    pub subject: Vec<String>,
    /// A named selection: `level-1`, `level-2` (all, the default), `lab`
    #[arg(long, global = true, value_name = "NAME")]
    pub profile: Option<String>,
    /// The CIS Docker version in which bare numbers are read
    #[arg(long, global = true, value_name = "VERSION", value_parser = ["1.6.0", "1.7.0", "1.8.0"])]
    pub benchmark: Option<String>,
    /// Work inside DIR, the tree of a host that is not running
    #[arg(long, global = true, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Read this instead of /etc/seaworthy/config.toml
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Colour: `auto` (on a terminal), `always` or `never`
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t, hide_possible_values = true)]
    pub color: When,
    /// Say more
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// Say only what was asked for, and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
}

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal, unless `NO_COLOR` is set to something.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// A form of output that people or programs read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// A form of a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum PlanFormat {
    /// A unified diff that `patch -p1` takes, the rest as comments.
    #[default]
    Diff,
    /// For programs.
    Json,
}

/// What else `audit` counts as open, or from which severity on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Written, but not in force yet.
    Pending,
    /// Could not be read.
    Unknown,
    /// Fails of at least this severity.
    Low,
    /// Fails of at least this severity.
    Medium,
    /// Fails of at least this severity.
    High,
    /// Fails of at least this severity.
    Critical,
}

/// The subcommands.
#[derive(Clone, Debug, Subcommand)]
pub enum Sub {
    /// Shows what is open on this host; changes nothing
    Audit(Audit),
    /// Prints the exact diff and the actions; changes nothing
    Plan(Plan),
    /// Makes the changes that are approved, and takes them back when docker does not come back healthy
    Apply(Apply),
    /// Keeps a run that --confirm-within would undo
    Confirm {
        /// The run, as `apply` named it
        run: String,
    },
    /// Takes a run back: files, modes, owners, kernel rules and services
    Rollback(Rollback),
    /// Lists what was done, when, by whom, and what still stands
    History {
        /// Only this run
        run: Option<String>,
        /// Form of the output
        #[arg(long, value_name = "text|json", value_enum, default_value_t, hide_possible_values = true)]
        format: Format,
    },
    /// Tells why a check matters, how it is decided, what the fix writes and can break, and how to undo it
    Explain {
        /// A slug, its last part, or a number
        #[arg(value_name = "CHECK")]
        name: String,
    },
    /// Lists the catalogue
    Checks {
        /// Form of the output
        #[arg(long, value_name = "text|json", value_enum, default_value_t, hide_possible_values = true)]
        format: Format,
    },
    /// Takes a fail on, for a reason and until a day: it is still judged, and no longer open
    Waive(Waive),
    /// Records this host's facts in one file, secrets masked, for `audit --facts` elsewhere
    Facts {
        /// Where to write; without it: standard output
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

/// Arguments of `audit`.
#[derive(Clone, Debug, Default, Args)]
pub struct Audit {
    /// Form of the report
    #[arg(long, value_name = "text|json", value_enum, default_value_t, hide_possible_values = true)]
    pub format: Format,
    /// Write the report here instead of to standard output
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Exit 2 for `pending` or `unknown` too, or only from a severity on: `low`, `medium`, `high`, `critical`
    #[arg(long, value_name = "LIST", value_enum, value_delimiter = ',', hide_possible_values = true)]
    pub fail_on: Vec<FailOn>,
    /// Audit a recorded host
    #[arg(long, value_name = "FILE", conflicts_with = "root")]
    pub facts: Option<PathBuf>,
    /// Audit the Docker that this user runs without root, instead of the system's
    #[arg(long, value_name = "USER", conflicts_with_all = ["root", "facts"])]
    pub rootless: Option<String>,
}

/// Arguments of `plan`.
#[derive(Clone, Debug, Default, Args)]
pub struct Plan {
    /// Form of the plan
    #[arg(long, value_name = "diff|json", value_enum, default_value_t, hide_possible_values = true)]
    pub format: PlanFormat,
    /// Save the plan, for `apply FILE`
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// What the plan may do.
    #[command(flatten)]
    pub limits: Limits,
    /// Plan for a recorded host
    #[arg(long, value_name = "FILE", conflicts_with = "root")]
    pub facts: Option<PathBuf>,
}

/// What a plan may do.
#[derive(Clone, Debug, Default, Args)]
pub struct Limits {
    /// Take this check in although it would hurt something here (repeat, or separate by commas)
    #[arg(long, value_name = "CHECK", value_delimiter = ',', action = ArgAction::Append)]
    pub accept: Vec<String>,
    /// Write, but do not restart docker: what needs it stays pending
    #[arg(long)]
    pub no_restart: bool,
    /// Make containers of compose services anew where their files change; without it the files alone do
    #[arg(long)]
    pub recreate: bool,
}

/// Arguments of `apply`.
#[derive(Clone, Debug, Default, Args)]
pub struct Apply {
    /// A plan saved by `plan --out`; nothing else is applied
    #[arg(value_name = "PLAN")]
    pub plan: Option<PathBuf>,
    /// Do not ask: take all that cannot hurt this host
    #[arg(long)]
    pub yes: bool,
    /// What the plan may do.
    #[command(flatten)]
    pub limits: Limits,
    /// Take all of it back after SECONDS unless `confirm RUN` comes first
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub confirm_within: Option<u64>,
    /// Exit 2 when findings stay open
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// Form of the report
    #[arg(long, value_name = "text|json", value_enum, default_value_t, hide_possible_values = true)]
    pub format: Format,
}

/// Arguments of `rollback`. `--check CHECK` takes only that fix back.
#[derive(Clone, Debug, Default, Args)]
pub struct Rollback {
    /// The run to take back; without it: the last one that stands
    pub run: Option<String>,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// Take back even what was changed by hand since, and whatever that hides, stops or cuts
    #[arg(long)]
    pub force: bool,
    /// For the timer that an apply arms: leaves a finished run alone
    #[arg(long, hide = true)]
    pub only_unfinished: bool,
    /// Form of the report
    #[arg(long, value_name = "text|json", value_enum, default_value_t, hide_possible_values = true)]
    pub format: Format,
}

/// Arguments of `waive`. `--subject` names the subjects; without it: all of the check's.
#[derive(Clone, Debug, Args)]
pub struct Waive {
    /// A slug, its last part, or a number
    #[arg(value_name = "CHECK")]
    pub name: String,
    /// Why the site lives with it
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Who answers for it
    #[arg(long, value_name = "NAME")]
    pub owner: String,
    /// The last day on which it counts, such as 2027-01-31
    #[arg(long, value_name = "DAY", value_parser = crate::policy::parse_date)]
    pub until: jiff::civil::Date,
}

/// What the command line asks for.
pub enum Parsed {
    /// A command.
    Run(Box<Cli>),
    /// Text for standard output (help, version), styled.
    Text(String),
}

/// Reads the command line.
///
/// # Errors
/// [`Kind::Usage`], with the styled text that clap gives.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Parsed> {
    let args: Vec<OsString> = args.into_iter().collect();
    let matches = Cli::command().try_get_matches_from(&args);
    let parsed = matches.and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, matches)));
    let (cli, matches) = match parsed {
        Ok(both) => both,
        Err(error) => {
            let text = error.render();
            if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
                return Ok(Parsed::Text(lines(&text.ansi().to_string())));
            }
            let text = text.to_string();
            let text = text.strip_prefix("error: ").unwrap_or(&text);
            return Err(Failure::of(Kind::Usage, text.trim_end()));
        }
    };
    check_lost(&args, &matches)?;
    cli.check_selection()?;
    Ok(Parsed::Run(Box::new(cli)))
}

/// Refuses options given on both sides of the subcommand: clap keeps the right ones only, and a `--skip` that is lost
/// silently would let through what was to be left alone.
fn check_lost(args: &[OsString], matches: &ArgMatches) -> Result<()> {
    for name in ["check", "skip", "subject", "profile", "benchmark", "root", "config"] {
        let (flag, with_value) = (format!("--{name}"), format!("--{name}="));
        let words = args.iter().map(|arg| arg.to_string_lossy()).take_while(|word| word != "--");
        let given = words.filter(|word| *word == flag || word.starts_with(&with_value)).count();
        if given > matches.get_raw_occurrences(name).map_or(0, Iterator::count) {
            let message = format!("`{flag}` on both sides of the subcommand: put all of them behind it");
            return Err(Failure::of(Kind::Usage, message));
        }
    }
    Ok(())
}

/// The help, styled; also what `seaworthy` alone prints off a terminal.
pub fn help() -> String {
    lines(&Cli::command().render_help().ansi().to_string())
}

/// clap ends some texts without a line break.
fn lines(text: &str) -> String {
    format!("{}\n", text.trim_end())
}

/// Whether a command line that could not be read asks for JSON.
pub fn wants_json(args: &[OsString]) -> bool {
    let args: Vec<_> = args.iter().filter_map(|arg| arg.to_str()).collect();
    args.contains(&"--format=json") || args.windows(2).any(|pair| pair == ["--format", "json"])
}

impl Cli {
    /// Whether errors and reports are JSON.
    pub fn json(&self) -> bool {
        match &self.command {
            Some(Sub::Audit(args)) => args.format == Format::Json,
            Some(Sub::Plan(args)) => args.format == PlanFormat::Json,
            Some(Sub::Apply(args)) => args.format == Format::Json,
            Some(Sub::Rollback(args)) => args.format == Format::Json,
            Some(Sub::History { format, .. } | Sub::Checks { format }) => *format == Format::Json,
            Some(Sub::Confirm { .. } | Sub::Explain { .. } | Sub::Waive(_) | Sub::Facts { .. }) | None => false,
        }
    }

    /// Whether the command may change the host, so that a signal must not end it between two writes.
    pub fn writes(&self) -> bool {
        matches!(self.command, None | Some(Sub::Apply(_) | Sub::Rollback(_) | Sub::Confirm { .. } | Sub::Waive(_)))
    }

    /// Selection where it has no meaning would be ignored silently, and more done than was meant.
    fn check_selection(&self) -> Result<()> {
        let given = self.global.selection();
        let (what, allowed): (&str, &[&str]) = match &self.command {
            Some(Sub::Apply(Apply { plan: Some(_), limits, .. })) => {
                if let Some(flag) = limits.given().or(given.first().copied()) {
                    let message = format!("`{flag}` beside a saved plan: the plan carries its own selection");
                    return Err(Failure::of(Kind::Usage, message).hint("leave it out, or make a new plan"));
                }
                return Ok(());
            }
            Some(Sub::Confirm { .. }) => ("confirm", &[]),
            Some(Sub::History { .. }) => ("history", &[]),
            Some(Sub::Facts { .. }) => ("facts", &[]),
            Some(Sub::Explain { .. }) => ("explain", &["--benchmark"]),
            Some(Sub::Waive(_)) => ("waive", &["--subject", "--benchmark"]),
            Some(Sub::Rollback(_)) if self.global.check.len() > 1 => {
                return Err(Failure::of(Kind::Usage, "`rollback` takes one `--check`"));
            }
            Some(Sub::Rollback(_)) => ("rollback", &["--check", "--benchmark"]),
            Some(Sub::Audit(_) | Sub::Plan(_) | Sub::Apply(_) | Sub::Checks { .. }) | None => return Ok(()),
        };
        match given.iter().find(|flag| !allowed.contains(flag)) {
            Some(flag) => Err(Failure::of(Kind::Usage, format!("`{flag}` has no meaning for `{what}`"))),
            None => Ok(()),
        }
    }
}

impl Global {
    /// The selecting options that were given.
    fn selection(&self) -> Vec<&'static str> {
        [
            ("--check", !self.check.is_empty()),
            ("--skip", !self.skip.is_empty()),
            ("--subject", !self.subject.is_empty()),
            ("--profile", self.profile.is_some()),
            ("--benchmark", self.benchmark.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, given)| given.then_some(name))
        .collect()
    }
}

impl Limits {
    fn given(&self) -> Option<&'static str> {
        let flags =
            [("--accept", !self.accept.is_empty()), ("--no-restart", self.no_restart), ("--recreate", self.recreate)];
        flags.into_iter().find_map(|(name, given)| given.then_some(name))
    }
}

#[cfg(test)]
mod tests;
