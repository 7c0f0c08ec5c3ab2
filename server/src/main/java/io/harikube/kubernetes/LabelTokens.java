package io.harikube.kubernetes;

import java.util.ArrayList;
import java.util.List;

/**
 * A label selector cut into its tokens. A zero character directly behind a token is skipped, and
 * one where a token could begin ends the text, as it is for Kubernetes.
 */
final class LabelTokens {
  enum Kind {
    END,
    WORD,
    IN,
    NOT_IN,
    COMMA,
    OPEN,
    CLOSE,
    NOT,
    EQUALS,
    DOUBLE_EQUALS,
    NOT_EQUALS,
    GREATER,
    LESS
  }

  record Token(Kind kind, String text) {}

  private static final Token END = new Token(Kind.END, "");

  private final String text;
  private int at;

  private LabelTokens(String text) {
    this.text = text;
  }

  /** All tokens of a text; the last one is the end, and no other is. */
  static List<Token> of(String text) {
    LabelTokens tokens = new LabelTokens(text);
    List<Token> all = new ArrayList<>();
    Token token;
    do {
      token = tokens.next();
      all.add(token);
    } while (token.kind != Kind.END);
    return all;
  }

  private Token next() {
    while (at < text.length() && isSpace(text.charAt(at))) {
      at++;
    }
    if (at == text.length() || text.charAt(at) == 0) {
      return END;
    }
    return isSymbol(text.charAt(at)) ? symbol() : word();
  }

  private Token symbol() {
    char c = text.charAt(at++);
    boolean equals = at < text.length() && text.charAt(at) == '=';
    Kind kind =
        switch (c) {
          case '(' -> Kind.OPEN;
          case ')' -> Kind.CLOSE;
          case ',' -> Kind.COMMA;
          case '>' -> Kind.GREATER;
          case '<' -> Kind.LESS;
          case '!' -> equals ? Kind.NOT_EQUALS : Kind.NOT;
          default -> equals ? Kind.DOUBLE_EQUALS : Kind.EQUALS;
        };
    int start = at - 1;
    if (kind == Kind.NOT_EQUALS || kind == Kind.DOUBLE_EQUALS) {
      at++;
    }
    return token(kind, start);
  }

  private Token word() {
    int start = at;
    while (at < text.length() && isWord(text.charAt(at))) {
      at++;
    }
    String word = text.substring(start, at);
    return switch (word) {
      case "in" -> token(Kind.IN, start);
      case "notin" -> token(Kind.NOT_IN, start);
      default -> token(Kind.WORD, start);
    };
  }

  private Token token(Kind kind, int start) {
    Token token = new Token(kind, text.substring(start, at));
    if (at < text.length() && text.charAt(at) == 0) {
      at++;
    }
    return token;
  }

  private static boolean isWord(char c) {
    return c != 0 && !isSpace(c) && !isSymbol(c);
  }

  private static boolean isSpace(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
  }

  private static boolean isSymbol(char c) {
    return switch (c) {
      case '=', '!', '(', ')', ',', '>', '<' -> true;
      default -> false;
    };
  }
}
