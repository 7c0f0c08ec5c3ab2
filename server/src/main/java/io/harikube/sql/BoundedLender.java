package io.harikube.sql;

import java.sql.SQLException;
import java.util.concurrent.Semaphore;

/** Lends some of another's connections, so that there are always others for whoever else lends. */
final class BoundedLender implements Lender {
  private final Lender all;
  private final Semaphore free;

  /**
   * @param most how many are lent at the same time
   */
  BoundedLender(Lender all, int most) {
    this.all = all;
    this.free = new Semaphore(most, true);
  }

  @Override
  public Session take() throws SQLException {
    try {
      free.acquire();
    } catch (InterruptedException e) {
      throw Lender.givenUp(e);
    }
    boolean taken = false;
    try {
      Session session = all.take();
      taken = true;
      return session;
    } finally {
      if (!taken) {
        free.release();
      }
    }
  }

  @Override
  public void giveBack(Session session) {
    all.giveBack(session);
    free.release();
  }

  @Override
  public void discard(Session session, boolean others) {
    all.discard(session, others);
    free.release();
  }

  @Override
  public int opened() {
    return all.opened();
  }

  @Override
  public int lent() {
    return all.lent();
  }

  @Override
  public int awaited() {
    return free.getQueueLength() + all.awaited();
  }

  @Override
  public void close() {
    all.close();
  }
}
