package io.harikube.etcd;

import static org.assertj.core.api.Assertions.assertThat;

import io.grpc.Status;
import io.grpc.Status.Code;
import io.harikube.store.StoreException;
import io.harikube.store.StoreException.Reason;
import java.io.IOException;
import java.util.concurrent.CompletionException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class ErrorsTest {

  @ParameterizedTest
  @CsvSource({
    "COMPACTED, OUT_OF_RANGE, etcdserver: mvcc: required revision has been compacted",
    "FUTURE_REVISION, OUT_OF_RANGE, etcdserver: mvcc: required revision is a future revision",
    "KEY_NOT_FOUND, INVALID_ARGUMENT, etcdserver: key not found",
    "LEASE_NOT_FOUND, NOT_FOUND, etcdserver: requested lease not found",
    "LEASE_EXISTS, FAILED_PRECONDITION, etcdserver: lease already exists",
    "TOO_LARGE, RESOURCE_EXHAUSTED, etcdserver: what the store says",
    "UNAVAILABLE, UNAVAILABLE, etcdserver: request timed out",
    "NO_SPACE, RESOURCE_EXHAUSTED, etcdserver: mvcc: database space exceeded",
    "REFUSED, INTERNAL, 'etcdserver: the database refused the request, see the server''s log'",
  })
  void reasons(Reason reason, Code code, String text) {
    var refused = new StoreException(reason, "what the store says\n at some line");
    for (Throwable failure : new Throwable[] {refused, new CompletionException(refused)}) {
      Status status = Errors.of(failure);
      assertThat(status.getCode()).isEqualTo(code);
      assertThat(status.getDescription()).isEqualTo(text);
      assertThat(status.getCause()).isNull();
    }
  }

  @Test
  void aStatusStaysWhatItIs() {
    assertThat(Errors.of(Errors.CANCELED.asRuntimeException())).isSameAs(Errors.CANCELED);
    var io = new IOException("given up", Errors.CANCELED.asRuntimeException());
    assertThat(Errors.of(io)).isSameAs(Errors.CANCELED);
  }

  @Test
  void whatNobodyHasForeseenIsNotShown() {
    Status status = Errors.of(new IllegalStateException("select secret from table"));
    assertThat(status.getCode()).isEqualTo(Code.INTERNAL);
    assertThat(status.getDescription()).doesNotContain("secret").doesNotContain("\n");
    assertThat(status.getCause()).isNull();
  }
}
