//! The main job as a story: two tenants, two providers, thousands of invented people, real HTTP on this machine.
//!
//! Everything goes the ways of daily use: the import service, the pages of links, the daemon's workers, the providers'
//! own webhooks. Nobody is asked to believe the numbers: the program compares them with what the providers really hold
//! and fails when they do not agree.

mod cast;
mod crowd;
mod house;
mod stage;
mod story;
mod sums;
mod tell;

use std::path::PathBuf;

/// How the demo is played.
#[derive(Debug, Clone)]
pub struct Play {
    /// Rows of each tenant's customer file.
    pub contacts: usize,
    /// Where to put database, key and files; a new temporary folder when left out.
    pub folder: Option<PathBuf>,
    /// Go on running at the end, until interrupted.
    pub stay: bool,
    /// No progress lines.
    pub quiet: bool,
}

/// Plays the demo. True when all numbers agree.
///
/// # Errors
/// When something fails that the story does not foresee.
pub async fn play(play: &Play) -> anyhow::Result<bool> {
    let stage = stage::Stage::build(play).await?;
    let told = story::tell(play, &stage).await;
    if let (Ok(_), true) = (&told, play.stay) {
        stage.introduce();
        tokio::signal::ctrl_c().await?;
    }
    stage.clear().await?;
    told
}
