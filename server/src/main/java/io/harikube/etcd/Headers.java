package io.harikube.etcd;

import io.harikube.etcd.proto.ResponseHeader;
import io.harikube.store.Identity;
import io.harikube.store.Store;

/** Makes the headers of answers: who answers, and at which revision. */
final class Headers {
  private final Store store;

  Headers(Store store) {
    this.store = store;
  }

  /** The header of an answer that knows its revision. */
  ResponseHeader at(long revision) {
    Identity identity = store.identity();
    return ResponseHeader.newBuilder()
        .setClusterId(identity.clusterId())
        .setMemberId(identity.memberId())
        .setRaftTerm(identity.term())
        .setRevision(revision)
        .build();
  }

  /** The header of an answer that has to do with no revision; etcd shows the current one there. */
  ResponseHeader now() {
    return at(store.revision());
  }

  /** The header inside of a transaction's answer, which has the revision alone. */
  static ResponseHeader inner(long revision) {
    return ResponseHeader.newBuilder().setRevision(revision).build();
  }
}
