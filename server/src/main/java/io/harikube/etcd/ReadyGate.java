package io.harikube.etcd;

import io.grpc.stub.ServerCallStreamObserver;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Where the sending thread of a call waits until the client has taken what was sent before. Up to
 * the threshold of grpc-java (32 KiB) and one message wait to be sent, never more.
 *
 * <p>{@link #wake} is for the call's ready, close and cancel handlers.
 */
final class ReadyGate {
  private final ServerCallStreamObserver<?> call;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();

  ReadyGate(ServerCallStreamObserver<?> call) {
    this.call = call;
  }

  void wake() {
    lock.lock();
    try {
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /**
   * Waits until the call takes another message.
   *
   * @return false if it never will, because the client is gone
   */
  boolean await() throws InterruptedException {
    lock.lockInterruptibly();
    try {
      while (true) {
        if (call.isCancelled()) {
          return false;
        }
        if (call.isReady()) {
          return true;
        }
        changed.await();
      }
    } finally {
      lock.unlock();
    }
  }
}
