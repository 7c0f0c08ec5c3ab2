package io.harikube.etcd;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.ByteString;
import io.grpc.StatusRuntimeException;
import io.harikube.etcd.proto.DeleteRangeRequest;
import io.harikube.etcd.proto.PutRequest;
import io.harikube.etcd.proto.RangeRequest;
import io.harikube.etcd.proto.RequestOp;
import io.harikube.etcd.proto.TxnRequest;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

final class KeyOverlapTest {

  @TestFactory
  Stream<DynamicTest> table() {
    return Stream.of(
        clash("a put twice", put("a"), put("a")),
        fine("two puts", put("a"), put("b")),
        fine("one put", put("a")),
        fine("a range of a key that is put", put("a"), range("a")),
        clash("put and delete", put("a"), delete("a", "")),
        clash("delete and put", delete("a", ""), put("a")),
        fine("a deletion ends before its end", put("c"), delete("a", "c")),
        clash("a deletion begins at its start", put("a"), delete("a", "c")),
        fine("deletions may overlap", delete("a", "c"), delete("b", "d")),
        clash("overlapping deletions are one", delete("a", "c"), delete("b", "d"), put("c")),
        fine("a range that is empty deletes nothing", delete("c", "a"), put("b")),
        fine("up to the end of all keys is not looked at", delete("a", "\0"), put("b")),
        clash("a put in a transaction in it", put("a"), txn(ops(put("a")), ops())),
        clash("a put in its other branch", put("a"), txn(ops(), ops(put("a")))),
        fine("the same key in both branches", txn(ops(put("a")), ops(put("a")))),
        clash(
            "a branch and the next transaction",
            txn(ops(put("a")), ops()),
            txn(ops(), ops(put("a")))),
        clash("twice in one branch", txn(ops(put("a"), put("a")), ops())),
        clash("deeper", txn(ops(txn(ops(put("a")), ops()), put("a")), ops())),
        clash("deleted here, put in a transaction", delete("a", "c"), txn(ops(put("b")), ops())),
        clash("put here, deleted in a transaction", put("b"), txn(ops(), ops(delete("a", "c")))),
        clash(
            "deleted in one transaction, put in the next",
            txn(ops(delete("a", "c")), ops()),
            txn(ops(put("b")), ops())),
        fine(
            "put in one transaction, deleted in the next",
            txn(ops(put("b")), ops()),
            txn(ops(delete("a", "c")), ops())));
  }

  @Test
  void agreesWithTheObviousWay() {
    var random = new Random(42);
    int clashes = 0;
    for (int i = 0; i < 20_000; i++) {
      List<RequestOp> ops = randomOps(random, 2);
      boolean expected;
      try {
        Obvious.of(ops);
        expected = false;
      } catch (IllegalStateException e) {
        expected = true;
      }
      assertThat(clashes(ops)).as(() -> ops.toString()).isEqualTo(expected);
      clashes += expected ? 1 : 0;
    }
    assertThat(clashes).isBetween(2_000, 18_000);
  }

  /** etcd's rules with lists: nothing is merged, everything is compared with everything. */
  private record Obvious(Set<String> puts, List<DeleteRangeRequest> deletes) {
    static Obvious of(List<RequestOp> ops) {
      var result = new Obvious(new HashSet<>(), new ArrayList<>());
      ops.stream()
          .filter(RequestOp::hasRequestDeleteRange)
          .forEach(op -> result.deletes.add(op.getRequestDeleteRange()));
      for (RequestOp op : ops) {
        if (op.hasRequestTxn()) {
          Obvious then = of(op.getRequestTxn().getSuccessList());
          Obvious otherwise = of(op.getRequestTxn().getFailureList());
          then.puts.forEach(key -> result.put(key, Set.of()));
          otherwise.puts.forEach(key -> result.put(key, then.puts));
          result.deletes.addAll(then.deletes);
          result.deletes.addAll(otherwise.deletes);
        }
      }
      ops.stream()
          .filter(RequestOp::hasRequestPut)
          .forEach(op -> result.put(op.getRequestPut().getKey().toStringUtf8(), Set.of()));
      return result;
    }

    private void put(String key, Set<String> safe) {
      if (puts.contains(key) && !safe.contains(key)) {
        throw new IllegalStateException("twice");
      }
      for (DeleteRangeRequest delete : deletes) {
        String from = delete.getKey().toStringUtf8();
        String to = delete.getRangeEnd().toStringUtf8();
        if (to.isEmpty() ? key.equals(from) : key.compareTo(from) >= 0 && key.compareTo(to) < 0) {
          throw new IllegalStateException("deleted");
        }
      }
      puts.add(key);
    }
  }

  private static List<RequestOp> randomOps(Random random, int depth) {
    List<RequestOp> ops = new ArrayList<>();
    int count = random.nextInt(4);
    for (int i = 0; i < count; i++) {
      ops.add(
          switch (random.nextInt(depth > 0 ? 5 : 3)) {
            case 0, 1 -> put(letter(random));
            case 2 -> delete(letter(random), random.nextBoolean() ? "" : letter(random));
            default ->
                txn(
                    randomOps(random, depth - 1).toArray(RequestOp[]::new),
                    randomOps(random, depth - 1).toArray(RequestOp[]::new));
          });
    }
    return ops;
  }

  private static String letter(Random random) {
    return String.valueOf((char) ('a' + random.nextInt(12)));
  }

  private static boolean clashes(List<RequestOp> ops) {
    try {
      KeyOverlap.check(ops);
      return false;
    } catch (StatusRuntimeException e) {
      assertThat(e.getStatus()).isSameAs(Errors.DUPLICATE_KEY);
      return true;
    }
  }

  private static DynamicTest clash(String name, RequestOp... ops) {
    return DynamicTest.dynamicTest(name, () -> assertThat(clashes(List.of(ops))).isTrue());
  }

  private static DynamicTest fine(String name, RequestOp... ops) {
    return DynamicTest.dynamicTest(name, () -> assertThat(clashes(List.of(ops))).isFalse());
  }

  private static RequestOp put(String key) {
    return RequestOp.newBuilder()
        .setRequestPut(PutRequest.newBuilder().setKey(ByteString.copyFromUtf8(key)))
        .build();
  }

  private static RequestOp range(String key) {
    return RequestOp.newBuilder()
        .setRequestRange(RangeRequest.newBuilder().setKey(ByteString.copyFromUtf8(key)))
        .build();
  }

  private static RequestOp delete(String key, String end) {
    return RequestOp.newBuilder()
        .setRequestDeleteRange(
            DeleteRangeRequest.newBuilder()
                .setKey(ByteString.copyFromUtf8(key))
                .setRangeEnd(ByteString.copyFromUtf8(end)))
        .build();
  }

  private static RequestOp[] ops(RequestOp... ops) {
    return ops;
  }

  private static RequestOp txn(RequestOp[] then, RequestOp[] otherwise) {
    return RequestOp.newBuilder()
        .setRequestTxn(
            TxnRequest.newBuilder().addAllSuccess(List.of(then)).addAllFailure(List.of(otherwise)))
        .build();
  }
}
