package io.harikube.etcd;

import io.harikube.etcd.proto.RangeResponse;
import io.harikube.etcd.proto.RangeStreamResponse;
import io.harikube.store.KeyValue;
import io.harikube.store.OpResult;
import io.harikube.store.RangeQuery;
import io.harikube.store.Store;
import org.jspecify.annotations.Nullable;

/**
 * One range that is answered in parts, as etcd does it: all parts have keys, if there are any, and
 * the last one also has the header, {@code more} and {@code count}. Merged, they are the answer to
 * a Range. Kubernetes takes a part without keys that says {@code more} for an error.
 *
 * <p>The store reads the next part only when the client has taken the one before the last. So of a
 * range there are three parts in memory at the most: one is read, one waits, one is sent.
 */
final class RangeStream {
  private static final int PART_BYTES = 512 << 10;

  private final Answer<RangeStreamResponse> answer;
  private final Headers headers;

  /** The part that is sent when it is known whether it is the last one. */
  private OpResult.@Nullable Range held;

  RangeStream(Answer<RangeStreamResponse> answer, Headers headers) {
    this.answer = answer;
    this.headers = headers;
  }

  void run(Store store, RangeQuery query) throws InterruptedException {
    answer.reserve(3 * PART_BYTES);
    // etcd passes over a target without an order here.
    store.stream(query.inParts(), PART_BYTES, this::part);
    if (held == null) {
      throw new IllegalStateException("the store has answered a range without a part");
    }
    if (!answer.push(last(held, headers))) {
      throw RequestCheck.refuse(Errors.CANCELED);
    }
    answer.end();
  }

  /** The part that ends a stream. */
  static RangeStreamResponse last(OpResult.Range result, Headers headers) {
    return message(
        keys(result)
            .setHeader(headers.at(result.revision()))
            .setMore(result.more())
            .setCount(result.count()));
  }

  private static RangeResponse.Builder keys(OpResult.Range part) {
    RangeResponse.Builder keys = RangeResponse.newBuilder();
    part.kvs().forEach(kv -> keys.addKvs(Wire.keyValue(kv)));
    return keys;
  }

  private static RangeStreamResponse message(RangeResponse.Builder range) {
    return RangeStreamResponse.newBuilder().setRangeResponse(range).build();
  }

  /** The revision is that of the beginning, however long the reading takes. */
  private void part(OpResult.Range part) {
    OpResult.Range before = held;
    if (before == null) {
      held = part;
    } else if (part.kvs().isEmpty()) {
      held = new OpResult.Range(before.revision(), before.kvs(), part.more(), part.count());
    } else {
      held = new OpResult.Range(before.revision(), part.kvs(), part.more(), part.count());
      send(before);
    }
  }

  private void send(OpResult.Range part) {
    // A part with big values is larger. It is here already, so count it if there is room.
    answer.share().tryGrow(3 * part.kvs().stream().mapToLong(KeyValue::weight).sum());
    boolean sent;
    try {
      sent = answer.push(message(keys(part)));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      sent = false;
    }
    if (!sent) {
      throw RequestCheck.refuse(Errors.CANCELED);
    }
  }
}
