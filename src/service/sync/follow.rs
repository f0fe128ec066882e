//! Asking after bulk jobs, seldom enough for the smallest quota.

use crate::clock::{SECOND, Timestamp};
use crate::service::ServiceError;
use crate::service::sync::Session;
use consentd_provider::{JobState, ProviderError, RemoteJob};

/// Waits between questions; the last one repeats (Brevo sheet 2: jobs share 100 calls an hour with much else).
const WAITS: [Timestamp; 6] = [2 * SECOND, 5 * SECOND, 15 * SECOND, 30 * SECOND, 45 * SECOND, 60 * SECOND];

impl Session<'_> {
    /// Asks after one job that is due.
    // race model: `Action::Follow` in tests/it/race/steps.rs
    pub(super) async fn follow_jobs(&self) -> Result<bool, ServiceError> {
        let (tenant, connection) = (self.tenant.id, self.connection.id);
        let now = self.now();
        let jobs = self.core.store.open_jobs(tenant, connection).await?;
        let Some(mut job) = jobs.into_iter().find(|job| job.next_at <= now) else { return Ok(false) };
        let remote = RemoteJob(job.name.clone());
        let state = match self.account.provider.follow(&*self.account.gateway, &self.account.audience, &remote).await {
            Ok(state) => state,
            Err(ProviderError::Rejected { reason, .. }) => JobState::Failed(reason),
            Err(error) => return Err(error.into()),
        };
        job.polls += 1;
        job.next_at = self.now() + wait(job.polls);
        let mut tx = self.core.store.begin().await?;
        match state {
            JobState::Running => {
                tx.unsettle_job(tenant, connection, &job.name, self.now() + self.core.rules.settle).await?;
                tx.save_job(tenant, connection, &job, "running").await?;
            }
            JobState::Done => {
                tx.end_job(tenant, connection, &job.name, "ok").await?;
                tx.save_job(tenant, connection, &job, "done").await?;
            }
            JobState::Failed(reason) => {
                let now = self.now();
                tx.doubt_job(tenant, connection, &job.name, now, now + self.core.rules.settle).await?;
                tx.end_job(tenant, connection, &job.name, "unknown").await?;
                tx.save_job(tenant, connection, &job, "failed").await?;
                let detail = format!("a bulk job failed at the provider: {reason}");
                tx.raise(tenant, connection, "job_failed", connection.0, &detail, self.now()).await?;
            }
        }
        tx.commit().await?;
        Ok(true)
    }
}

/// The wait after so many questions.
pub(super) fn wait(polls: i64) -> Timestamp {
    let index = usize::try_from(polls).unwrap_or(usize::MAX).min(WAITS.len() - 1);
    WAITS.get(index).copied().unwrap_or(60 * SECOND)
}
