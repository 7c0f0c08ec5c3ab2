package io.harikube.sql;

import io.harikube.store.Store;
import io.harikube.store.StoreMetrics;
import io.harikube.store.TaskRules;
import io.harikube.testing.TestAttributes;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.sql.SQLException;
import java.time.InstantSource;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Puts faults between a store and its real database: a call of the writer fails before the database
 * has it, or after the database has done it.
 */
public final class FaultyDialect {
  private FaultyDialect() {}

  /** When something goes wrong; called around each call of the writer to its database. */
  public interface Faults {
    /**
     * What becomes of a call.
     *
     * @param call the method of the dialect
     */
    Fault next(String call);
  }

  /** What goes wrong. */
  public enum Fault {
    NONE,
    /** The connection is cut before the database has got the call. */
    CUT_BEFORE,
    /** The database does it, and the connection is cut before the answer. */
    CUT_AFTER,
    /** The program fails in the middle of it. */
    ERROR
  }

  /** A store whose writer meets {@code faults}. */
  public static Store open(SqlOptions options, InstantSource clock, Faults faults)
      throws OpenException {
    Dialect real = SqlStore.dialect(options, StoreMetrics.NONE);
    Dialect faulty =
        (Dialect)
            Proxy.newProxyInstance(
                Dialect.class.getClassLoader(),
                new Class<?>[] {Dialect.class},
                (_, method, arguments) -> {
                  Session session = session(arguments);
                  Fault fault = session == null ? Fault.NONE : faults.next(method.getName());
                  if (fault == Fault.CUT_BEFORE) {
                    throw cut(session);
                  }
                  if (fault == Fault.ERROR) {
                    throw new StackOverflowError("in " + method.getName());
                  }
                  Object answer;
                  try {
                    answer = method.invoke(real, arguments);
                  } catch (InvocationTargetException e) {
                    throw e.getCause();
                  }
                  if (fault == Fault.CUT_AFTER) {
                    throw cut(session);
                  }
                  return answer;
                });
    return SqlStore.open(
        faulty, options, clock, StoreMetrics.NONE, TestAttributes::read, TaskRules.NONE);
  }

  private static @Nullable Session session(Object @Nullable [] arguments) {
    return arguments == null
        ? null
        : (Session)
            Arrays.stream(arguments).filter(Session.class::isInstance).findFirst().orElse(null);
  }

  private static SQLException cut(@Nullable Session session) throws SQLException {
    if (session != null) {
      session.close();
    }
    return new SQLException("the connection was cut", "08006");
  }
}
