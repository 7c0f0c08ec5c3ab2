package io.harikube.testing;

import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.ArgumentsProvider;
import org.junit.jupiter.params.support.ParameterDeclarations;

/** The databases of a test run. */
public final class Databases {
  private static final List<Database> CHOSEN =
      System.getProperty("harikube.databases") == null
          ? List.of(Database.values())
          : Arrays.stream(System.getProperty("harikube.databases").split(","))
              .map(Database::valueOf)
              .toList();

  private Databases() {}

  /** Every one. */
  public static final class All implements ArgumentsProvider {
    @Override
    public Stream<Arguments> provideArguments(
        ParameterDeclarations parameters, ExtensionContext context) {
      return CHOSEN.stream().map(Arguments::of);
    }
  }

  /** Those with SQL. */
  public static final class Sql implements ArgumentsProvider {
    @Override
    public Stream<Arguments> provideArguments(
        ParameterDeclarations parameters, ExtensionContext context) {
      return CHOSEN.stream().filter(database -> database != Database.MODEL).map(Arguments::of);
    }
  }
}
