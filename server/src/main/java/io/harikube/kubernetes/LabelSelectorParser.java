package io.harikube.kubernetes;

import io.harikube.kubernetes.LabelTokens.Kind;
import io.harikube.kubernetes.LabelTokens.Token;
import io.harikube.store.Filter;
import java.util.ArrayList;
import java.util.List;

/** The grammar of label selectors, over {@link LabelTokens}. */
final class LabelSelectorParser {
  private final String text;
  private final List<Token> tokens;
  private int at;

  LabelSelectorParser(String text) {
    this.text = text;
    this.tokens = LabelTokens.of(text);
  }

  List<LabelRequirement> requirements() throws SelectorException {
    List<LabelRequirement> requirements = new ArrayList<>();
    if (peek() == Kind.END) {
      return requirements;
    }
    while (true) {
      requirements.add(requirement());
      Token token = next();
      if (token.kind() == Kind.END) {
        return requirements;
      }
      if (token.kind() != Kind.COMMA) {
        throw unexpected(token, "',' or the end");
      }
    }
  }

  private LabelRequirement requirement() throws SelectorException {
    boolean negated = peek() == Kind.NOT;
    if (negated) {
      next();
    }
    String key = word("the name of a label");
    if (!LabelSyntax.isKey(key)) {
      throw new SelectorException("'" + key + "' is not the name of a label", text);
    }
    if (negated) {
      return new LabelRequirement.Absent(key);
    }
    if (peek() == Kind.END || peek() == Kind.COMMA) {
      return new LabelRequirement.Exists(key);
    }
    Token operator = next();
    return switch (operator.kind()) {
      case IN -> new LabelRequirement.In(key, values());
      case NOT_IN -> new LabelRequirement.NotIn(key, values());
      case EQUALS, DOUBLE_EQUALS -> new LabelRequirement.In(key, List.of(value()));
      case NOT_EQUALS -> new LabelRequirement.NotIn(key, List.of(value()));
      case GREATER -> new LabelRequirement.GreaterThan(key, bound());
      case LESS -> new LabelRequirement.LessThan(key, bound());
      default -> throw unexpected(operator, "an operator");
    };
  }

  /** What follows an operator that compares with one value: a word, or nothing. */
  private String value() throws SelectorException {
    if (peek() == Kind.END || peek() == Kind.COMMA) {
      return "";
    }
    return checked(word("a value"));
  }

  private long bound() throws SelectorException {
    String value = value();
    return Filter.integer(value)
        .orElseThrow(() -> new SelectorException("'" + value + "' is not an integer", text));
  }

  /**
   * The values in parentheses. Where a word is missing before, between or behind commas the empty
   * value is meant.
   */
  private List<String> values() throws SelectorException {
    Token open = next();
    if (open.kind() != Kind.OPEN) {
      throw unexpected(open, "'('");
    }
    List<String> values = new ArrayList<>();
    while (true) {
      if (peek() == Kind.COMMA || peek() == Kind.CLOSE) {
        values.add("");
      } else {
        values.add(checked(word("a value")));
      }
      Token token = next();
      if (token.kind() == Kind.CLOSE) {
        return values;
      }
      if (token.kind() != Kind.COMMA) {
        throw unexpected(token, "',' or ')'");
      }
    }
  }

  private String checked(String value) throws SelectorException {
    if (!LabelSyntax.isValue(value)) {
      throw new SelectorException("'" + value + "' is not the value of a label", text);
    }
    return value;
  }

  /** A word; {@code in} and {@code notin} are words like others where no operator can be. */
  private String word(String expected) throws SelectorException {
    Token token = next();
    return switch (token.kind()) {
      case WORD, IN, NOT_IN -> token.text();
      default -> throw unexpected(token, expected);
    };
  }

  private Kind peek() {
    return tokens.get(at).kind();
  }

  /** The next token; the end stays the next one. */
  private Token next() {
    Token token = tokens.get(at);
    if (token.kind() != Kind.END) {
      at++;
    }
    return token;
  }

  private SelectorException unexpected(Token token, String expected) {
    String found = token.kind() == Kind.END ? "the end" : "'" + token.text() + "'";
    return new SelectorException("found " + found + " instead of " + expected, text);
  }
}
