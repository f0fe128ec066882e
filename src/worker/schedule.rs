//! The heartbeat of the schedules. The only module that imports tokio-cron-scheduler.
//!
//! The scheduler rings every second and knows nothing else: which connections are due, catching up after a downtime,
//! merging of what overlaps and daylight saving are the business of `service/schedule.rs`.

use crate::service::Core;
use crate::service::signal::Wake;
use crate::worker::Stop;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

/// Every second.
const BEAT: &str = "* * * * * *";

/// Rings the bells that are due, every second.
pub(crate) async fn ring(core: Core, wake: Wake, stop: Stop) {
    let beat = Arc::new(Notify::new());
    let mut heart = match heart(beat.clone()).await {
        Ok(heart) => heart,
        Err(error) => {
            tracing::error!(error = %error, "the scheduler does not start; runs must be asked for by hand");
            return;
        }
    };
    loop {
        tokio::select! {
            () = beat.notified() => {}
            () = stop.given() => break,
        }
        match core.ring().await {
            Ok(0) => {}
            Ok(rung) => {
                tracing::debug!(rung, "bells rang");
                wake.connections.notify_one();
            }
            Err(error) => tracing::error!(error = %error, "bells cannot ring; trying again"),
        }
    }
    if let Err(error) = heart.shutdown().await {
        tracing::debug!(error = %error, "the scheduler does not stop");
    }
}

/// A ring that nobody has heard yet is not rung twice.
async fn heart(beat: Arc<Notify>) -> Result<JobScheduler, JobSchedulerError> {
    let heart = JobScheduler::new().await?;
    heart.add(Job::new(BEAT, move |_, _| beat.notify_one())?).await?;
    heart.start().await?;
    Ok(heart)
}
