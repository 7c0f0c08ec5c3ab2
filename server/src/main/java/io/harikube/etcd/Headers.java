package io.harikube.etcd;

import io.harikube.etcd.proto.ResponseHeader;
import io.harikube.store.Identity;
import io.harikube.store.Store;
import java.util.function.LongSupplier;
import java.util.function.Supplier;

/** Makes the headers of answers: who answers, and at which revision. */
final class Headers {
  private final Supplier<Identity> identity;
  private final LongSupplier revision;

  Headers(Supplier<Identity> identity, LongSupplier revision) {
    this.identity = identity;
    this.revision = revision;
  }

  Headers(Store store) {
    this(store::identity, store::revision);
  }

  /** The header of an answer that knows its revision. */
  ResponseHeader at(long atRevision) {
    Identity server = identity.get();
    return ResponseHeader.newBuilder()
        .setClusterId(server.clusterId())
        .setMemberId(server.memberId())
        .setRaftTerm(server.term())
        .setRevision(atRevision)
        .build();
  }

  /** The header of an answer that has to do with no revision; etcd shows the current one there. */
  ResponseHeader now() {
    return at(revision.getAsLong());
  }

  /** The header inside of a transaction's answer, which has the revision alone. */
  static ResponseHeader inner(long revision) {
    return ResponseHeader.newBuilder().setRevision(revision).build();
  }
}
