package io.harikube.etcd;

import io.grpc.Status;
import io.grpc.Status.Code;
import io.grpc.StatusException;
import io.grpc.StatusRuntimeException;
import io.harikube.log.RareLine;
import io.harikube.store.StoreException;
import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.CompletionException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.event.Level;

/**
 * The errors of the etcd v3 API. Clients match on code and text, so both are etcd's, to the letter
 * (its package rpctypes).
 */
final class Errors {
  private static final Logger log = LoggerFactory.getLogger(Errors.class);

  static final Status EMPTY_KEY = of(Code.INVALID_ARGUMENT, "etcdserver: key is not provided");
  static final Status KEY_NOT_FOUND = of(Code.INVALID_ARGUMENT, "etcdserver: key not found");
  static final Status VALUE_PROVIDED = of(Code.INVALID_ARGUMENT, "etcdserver: value is provided");
  static final Status LEASE_PROVIDED = of(Code.INVALID_ARGUMENT, "etcdserver: lease is provided");
  static final Status TOO_MANY_OPS =
      of(Code.INVALID_ARGUMENT, "etcdserver: too many operations in txn request");
  static final Status DUPLICATE_KEY =
      of(Code.INVALID_ARGUMENT, "etcdserver: duplicate key given in txn request");
  static final Status INVALID_SORT_OPTION =
      of(Code.INVALID_ARGUMENT, "etcdserver: invalid sort option");
  static final Status COMPACTED =
      of(Code.OUT_OF_RANGE, "etcdserver: mvcc: required revision has been compacted");
  static final Status FUTURE_REVISION =
      of(Code.OUT_OF_RANGE, "etcdserver: mvcc: required revision is a future revision");
  static final Status NO_SPACE =
      of(Code.RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded");
  static final Status REQUEST_TOO_LARGE =
      of(Code.INVALID_ARGUMENT, "etcdserver: request is too large");
  static final Status TOO_MANY_REQUESTS =
      of(Code.RESOURCE_EXHAUSTED, "etcdserver: too many requests");
  static final Status LEASE_NOT_FOUND = of(Code.NOT_FOUND, "etcdserver: requested lease not found");
  static final Status LEASE_EXISTS =
      of(Code.FAILED_PRECONDITION, "etcdserver: lease already exists");
  static final Status LEASE_TTL_TOO_LARGE =
      of(Code.OUT_OF_RANGE, "etcdserver: too large lease TTL");
  static final Status TIMEOUT = of(Code.UNAVAILABLE, "etcdserver: request timed out");
  static final Status STOPPED = of(Code.UNAVAILABLE, "etcdserver: server stopped");
  static final Status CANCELED = of(Code.CANCELLED, "etcdserver: request canceled");
  static final Status CORRUPT = of(Code.DATA_LOSS, "etcdserver: corrupt cluster");
  static final Status MALFORMED =
      of(
          Code.INTERNAL,
          "grpc: error unmarshalling request: proto: cannot parse invalid wire-format data");
  static final Status GIVEN_UP =
      of(Code.UNAVAILABLE, "etcdserver: the client has been given up, because it was too slow");
  static final Status UNKNOWN_METHOD = of(Code.UNKNOWN, "etcdserver: unknown method");

  static final Status STREAM_SORT =
      of(Code.UNIMPLEMENTED, "RangeStream does not support custom sort orders");
  static final Status STREAM_BOUNDS =
      of(Code.UNIMPLEMENTED, "RangeStream does not support revision filters");

  static final Status LOCK_SESSION_EXPIRED = of(Code.UNKNOWN, "mutex: session is expired");
  static final Status NOT_LEADER = of(Code.UNKNOWN, "election: not leader");
  static final Status NO_LEADER = of(Code.UNKNOWN, "election: no leader");
  static final Status LEADER_MISSING = of(Code.UNKNOWN, "\"leader\" field must be provided");
  static final Status WATCH_LOST = of(Code.UNKNOWN, "lost watcher waiting for delete");

  static final Status MEMBER_BAD_URLS =
      of(Code.INVALID_ARGUMENT, "etcdserver: given member URLs are invalid");
  static final Status MEMBER_NOT_FOUND = of(Code.NOT_FOUND, "etcdserver: member not found");
  static final Status MEMBER_NOT_LEARNER =
      of(Code.FAILED_PRECONDITION, "etcdserver: can only promote a learner member");

  /** FAILED_PRECONDITION by etcd's list, but this is what its server sends. */
  static final Status NOT_ENOUGH_STARTED =
      of(Code.UNKNOWN, "etcdserver: re-configuration failed due to not enough started members");

  static final Status BAD_TRANSFEREE =
      of(Code.FAILED_PRECONDITION, "etcdserver: bad leader transferee");

  static final Status DOWNGRADE_FORMAT =
      of(Code.INVALID_ARGUMENT, "etcdserver: wrong downgrade target version format");
  static final Status DOWNGRADE_TARGET =
      of(Code.INVALID_ARGUMENT, "etcdserver: invalid downgrade target version");

  static final Status ROOT_USER_MISSING =
      of(Code.FAILED_PRECONDITION, "etcdserver: root user does not exist");
  static final Status USER_NOT_FOUND =
      of(Code.FAILED_PRECONDITION, "etcdserver: user name not found");
  static final Status ROLE_NOT_FOUND =
      of(Code.FAILED_PRECONDITION, "etcdserver: role name not found");
  static final Status AUTH_NOT_ENABLED =
      of(Code.FAILED_PRECONDITION, "etcdserver: authentication is not enabled");

  private static final Status INTERNAL =
      of(Code.INTERNAL, "etcdserver: internal error, see the server's log");

  /** Why is in the log: what a database says may name its tables. */
  private static final Status REFUSED =
      of(Code.INTERNAL, "etcdserver: the database refused the request, see the server's log");

  private static final RareLine NO_REQUEST =
      new RareLine(
          log, Level.WARN, Duration.ofSeconds(10), "A client has sent what is no request of {}.");

  private Errors() {}

  private static Status of(Code code, String text) {
    return code.toStatus().withDescription(text);
  }

  /** Logs that a client has sent what is no request: one line, and not each time. */
  static void malformed(String method) {
    NO_REQUEST.write(method);
  }

  /**
   * What the client is told of {@code failure}: one line, never a stack trace. A failure that
   * nobody has foreseen is logged here.
   */
  static Status of(Throwable failure) {
    return switch (failure) {
      case CompletionException wrapper when wrapper.getCause() != null -> of(wrapper.getCause());
      case StatusRuntimeException status -> status.getStatus();
      case StatusException status -> status.getStatus();
      case StoreException refused -> of(refused);
      case IOException io when io.getCause() instanceof StatusRuntimeException status ->
          status.getStatus();
      case InterruptedException _ -> STOPPED;
      default -> {
        log.error("a request failed", failure);
        yield INTERNAL;
      }
    };
  }

  private static Status of(StoreException refused) {
    return switch (refused.reason()) {
      case COMPACTED -> COMPACTED;
      case FUTURE_REVISION -> FUTURE_REVISION;
      case KEY_NOT_FOUND -> KEY_NOT_FOUND;
      case LEASE_NOT_FOUND -> LEASE_NOT_FOUND;
      case LEASE_EXISTS -> LEASE_EXISTS;
      case TOO_LARGE -> of(Code.RESOURCE_EXHAUSTED, "etcdserver: " + line(refused));
      case UNAVAILABLE -> TIMEOUT;
      case NO_SPACE -> NO_SPACE;
      case REFUSED -> REFUSED;
    };
  }

  private static String line(StoreException refused) {
    String text = String.valueOf(refused.getMessage());
    int end = text.indexOf('\n');
    return end < 0 ? text : text.substring(0, end).strip();
  }
}
