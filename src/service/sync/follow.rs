//! Asking after bulk jobs, seldom enough for the smallest quota.

use crate::clock::{MINUTE, SECOND, Timestamp, micros};
use crate::service::ServiceError;
use crate::service::sync::Session;
use consentd_provider::{JobState, ProviderError, RemoteJob};

/// Waits between questions that were answered "still running", of all jobs together; the last one repeats (Brevo sheet 2:
/// jobs share 100 calls an hour with much else). Short at first: whoever withdrew meanwhile waits for the end of the job.
const WAITS: [Timestamp; 12] = [
    2 * SECOND,
    3 * SECOND,
    5 * SECOND,
    5 * SECOND,
    5 * SECOND,
    5 * SECOND,
    5 * SECOND,
    10 * SECOND,
    15 * SECOND,
    30 * SECOND,
    45 * SECOND,
    60 * SECOND,
];

impl Session<'_> {
    /// Asks after one job that is due. One that still runs speaks for the others, which were mostly started later: they
    /// wait with it. The next time another one is asked after first, so that none that is stuck hides those behind it.
    // race model: `Action::Follow` in tests/it/race/steps.rs
    pub(super) async fn follow_jobs(&self) -> Result<bool, ServiceError> {
        let (tenant, connection) = (self.tenant.id, self.connection.id);
        let now = self.now();
        let jobs = self.core.store.open_jobs(tenant, connection).await?;
        let running: i64 = jobs.iter().map(|job| job.polls).sum();
        let Some(mut job) = jobs.into_iter().find(|job| job.next_at <= now) else { return Ok(false) };
        let remote = RemoteJob(job.name.clone());
        let state = match self.account.provider.follow(&*self.account.gateway, &self.account.audience, &remote).await {
            Ok(state) => state,
            Err(ProviderError::Rejected { reason, .. }) => JobState::Failed(reason),
            // Jobs have a quota of their own at some providers; whoever leaves does not wait for it.
            Err(ProviderError::Throttled { retry_after: Some(wait) }) => {
                let mut tx = self.begin().await?;
                tx.defer_jobs(tenant, connection, self.now() + micros(wait).clamp(SECOND, 5 * MINUTE)).await?;
                tx.commit().await?;
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        };
        job.polls += 1;
        let now = self.now();
        job.next_at = now + wait(running + 1);
        let mut tx = self.begin().await?;
        if !matches!(state, JobState::Running) {
            tx.hurry_withdrawals(tenant, connection, &job.name, now).await?;
        }
        match state {
            JobState::Running => {
                // What was put off less than a minute ago is left as it is: a large job has many rows.
                if now - job.started_at >= MINUTE {
                    let until = now + self.core.rules.settle;
                    tx.unsettle_job(tenant, connection, &job.name, until, until - MINUTE).await?;
                }
                tx.save_job(tenant, connection, &job, "running").await?;
                tx.defer_jobs(tenant, connection, job.next_at).await?;
            }
            JobState::Done => {
                tx.end_job(tenant, connection, &job.name, "ok").await?;
                tx.save_job(tenant, connection, &job, "done").await?;
            }
            JobState::Failed(reason) => {
                tx.doubt_job(tenant, connection, &job.name, now, now + self.core.rules.settle).await?;
                tx.end_job(tenant, connection, &job.name, "unknown").await?;
                tx.save_job(tenant, connection, &job, "failed").await?;
                let detail = format!("a bulk job failed at the provider: {reason}");
                tx.raise(tenant, connection, "job_failed", connection.0, &detail, now).await?;
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
