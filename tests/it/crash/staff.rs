//! Staff at the command line, while the daemon runs, dies and starts.

use crate::crash::house::records;
use crate::crash::load::{Answer, Load, Order, Person, Way};
use crate::crash::oracle::Name;
use consentd::domain::consent::Kind;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::watch;

impl Load {
    /// Two commands for each daemon; every fourth command dies over it.
    pub async fn staff(self: Arc<Self>, mut there: watch::Receiver<bool>) {
        while there.wait_for(|there| *there).await.is_ok() {
            there.mark_unchanged();
            for _ in 0..2 {
                let staff = self.clone();
                tokio::task::spawn_blocking(move || staff.command()).await.unwrap();
            }
            if there.changed().await.is_err() {
                return;
            }
        }
    }

    /// Staff withdraw for who said yes last.
    pub fn withdrawn_by_staff(&self) -> bool {
        let person = self.accepted.lock().unwrap().pop().expect("somebody accepted");
        let name = (person.email, Kind::Withdrawn);
        self.oracle.lock().unwrap().claim(&name, None);
        let good = self.mortal(&["--yes", "consent", "withdraw", &name.0, "--reason", "called us"]).0;
        if good {
            self.oracle.lock().unwrap().acknowledge(&name);
        }
        good
    }

    /// One command of staff, which dies in the middle now and then.
    fn command(&self) {
        match self.below(10) {
            0..4 => {
                let number = self.numbers.fetch_add(5, Ordering::SeqCst);
                let people = (number..number + 5).map(|number| (number, format!("newcomer{number}@example.org")));
                let file = self.house.path(&format!("{number}.csv"));
                records(&file, people.clone());
                let says: Vec<Name> = people.map(|(_, email)| (email, Kind::Imported)).collect();
                for name in &says {
                    self.oracle.lock().unwrap().claim(name, None);
                }
                if self.import(&file) == Answer::Acknowledged {
                    for name in &says {
                        self.oracle.lock().unwrap().acknowledge(name);
                    }
                } else {
                    // A repetition changes nothing, so staff may simply do it again.
                    self.again.lock().unwrap().push(Order { says, way: Way::Import(file), accepts: None });
                }
            }
            4..7 => {
                let somebody = !self.accepted.lock().unwrap().is_empty();
                if somebody {
                    self.withdrawn_by_staff();
                }
            }
            7..9 => drop(self.mortal(&["sync", "run", self.house.shops[self.below(2)].provider])),
            _ => {
                let number = self.numbers.fetch_add(1, Ordering::SeqCst);
                let (email, file) = (format!("guest{number}@example.org"), self.house.path("guest.csv"));
                records(&file, std::iter::once((number, email.clone())));
                let [known, asked] = [Kind::Imported, Kind::RequestSent].map(|kind| (email.clone(), kind));
                self.oracle.lock().unwrap().claim(&known, None);
                if self.import(&file) != Answer::Acknowledged {
                    return;
                }
                self.oracle.lock().unwrap().acknowledge(&known);
                self.oracle.lock().unwrap().claim(&asked, None);
                let (good, link) = self.mortal(&["consent", "request", &email, "--basis", "customer"]);
                if good {
                    self.oracle.lock().unwrap().acknowledge(&asked);
                    let ask = format!("/{}", link.trim().splitn(4, '/').nth(3).expect("a link"));
                    self.fresh.lock().unwrap().push(Person { email, ask, leave: None });
                }
            }
        }
    }

    pub(super) fn import(&self, file: &Path) -> Answer {
        let (good, _) = self.mortal(&["import", "run", file.to_str().unwrap()]);
        if good { Answer::Acknowledged } else { Answer::Unknown }
    }

    /// Runs a command; every fourth is killed after some time. Whether it ended well, and what it printed.
    fn mortal(&self, words: &[&str]) -> (bool, String) {
        let mut command = Command::new("timeout");
        self.house.dress(&mut command);
        let seconds = if self.below(4) == 0 { self.below(120) + 1 } else { 60_000 };
        command.args(["--signal=KILL", &format!("{}.{:03}", seconds / 1_000, seconds % 1_000)]);
        command.arg(env!("CARGO_BIN_EXE_consentd")).args(words);
        let done = command.stdout(Stdio::piped()).stderr(self.house.log("staff")).output().expect("timeout is there");
        (done.status.success(), String::from_utf8(done.stdout).expect("text"))
    }
}
