package io.harikube.etcd;

import io.harikube.etcd.proto.RangeResponse;
import io.harikube.etcd.proto.RangeStreamResponse;
import io.harikube.store.KeyValue;
import io.harikube.store.OpResult;
import io.harikube.store.RangeQuery;
import io.harikube.store.Store;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One range that is answered in parts. The parts have keys and nothing else; a last one, without
 * keys, has the header, {@code more} and {@code count}. Merged, they are the answer to a Range.
 *
 * <p>The store reads the next part only when the client has taken the one before, so that a part is
 * in memory twice at the most: as it was read, and as it is sent.
 */
final class RangeStream {
  private static final int PART_BYTES = 512 << 10;

  private final Answer<RangeStreamResponse> answer;
  private final Headers headers;
  private OpResult.@Nullable Range first;
  private OpResult.@Nullable Range last;

  RangeStream(Answer<RangeStreamResponse> answer, Headers headers) {
    this.answer = answer;
    this.headers = headers;
  }

  void run(Store store, RangeQuery query) throws InterruptedException {
    answer.reserve(2 * PART_BYTES);
    store.stream(inKeyOrder(query), PART_BYTES, this::part);
    if (first == null || last == null) {
      throw new IllegalStateException("the store has answered a range without a part");
    }
    // The revision is that of the beginning, however long the reading took.
    var end = new OpResult.Range(first.revision(), last.kvs(), last.more(), last.count());
    if (!answer.push(last(end, headers))) {
      throw RequestCheck.refuse(Errors.CANCELED);
    }
    answer.end();
  }

  /** The part that ends a stream: all of {@code result} but its keys. */
  static RangeStreamResponse last(OpResult.Range result, Headers headers) {
    return RangeStreamResponse.newBuilder()
        .setRangeResponse(
            RangeResponse.newBuilder()
                .setHeader(headers.at(result.revision()))
                .setMore(result.more())
                .setCount(result.count()))
        .build();
  }

  private void part(OpResult.Range part) {
    if (first == null) {
      first = new OpResult.Range(part.revision(), List.of(), false, 0);
    }
    last = new OpResult.Range(part.revision(), List.of(), part.more(), part.count());
    if (part.kvs().isEmpty()) {
      return;
    }
    RangeResponse.Builder keys = RangeResponse.newBuilder();
    long weight = 0;
    for (KeyValue kv : part.kvs()) {
      keys.addKvs(Wire.keyValue(kv));
      weight += kv.weight();
    }
    // A part with big values is larger. It is here already, so count it if there is room.
    answer.share().tryGrow(2 * weight);
    boolean sent;
    try {
      sent = answer.push(RangeStreamResponse.newBuilder().setRangeResponse(keys).build());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      sent = false;
    }
    if (!sent) {
      throw RequestCheck.refuse(Errors.CANCELED);
    }
  }

  /** etcd passes over a target without an order here. */
  private static RangeQuery inKeyOrder(RangeQuery query) {
    return new RangeQuery(
        query.range(),
        query.limit(),
        query.revision(),
        RangeQuery.Target.KEY,
        RangeQuery.Order.NONE,
        query.keysOnly(),
        false,
        0,
        0,
        0,
        0);
  }
}
