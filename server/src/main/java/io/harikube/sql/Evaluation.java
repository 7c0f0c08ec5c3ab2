package io.harikube.sql;

import io.harikube.store.Bytes;
import io.harikube.store.StoreException;
import io.harikube.store.StoreException.Reason;
import java.sql.SQLException;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Does the jobs of a batch, on what the database holds and on each other's changes. */
final class Evaluation {
  private static final Logger LOG = LoggerFactory.getLogger(Evaluation.class);

  private Evaluation() {}

  /**
   * Does {@code jobs} in their order. One that is refused before it has changed anything fails
   * alone.
   *
   * @throws Poisoned the job that failed later: the batch is to be undone
   */
  static void evaluate(Batch batch, List<Job<?>> jobs) throws SQLException, Poisoned {
    Set<Bytes> keys = new HashSet<>();
    for (Job<?> job : jobs) {
      keys.addAll(job.keys());
    }
    if (!keys.isEmpty()) {
      batch.prefetch(keys);
    }
    for (Job<?> job : jobs) {
      batch.effects().beginJob();
      try {
        job.run(batch);
      } catch (Collector.Overflow e) {
        refuse(batch, job, Refusals.tooMuch(e));
      } catch (StoreException e) {
        refuse(batch, job, e);
      } catch (RuntimeException | StackOverflowError e) {
        LOG.error("a job failed", e);
        throw new Poisoned(
            job, new StoreException(Reason.REFUSED, "internal error: " + e.getMessage(), e), false);
      }
    }
  }

  private static void refuse(Batch batch, Job<?> job, StoreException e) throws Poisoned {
    if (batch.isChanging()) {
      throw new Poisoned(job, e, true);
    }
    batch.effects().forgetJob();
    job.fail(e);
  }
}
