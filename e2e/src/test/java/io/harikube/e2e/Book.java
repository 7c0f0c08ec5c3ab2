package io.harikube.e2e;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A document of the repository, with what it tells a user to type: blocks of `sh`, by the chapter
 * that they are in.
 */
final class Book {
  private final Path file;
  private final Map<String, List<String>> blocks = new LinkedHashMap<>();

  /** Reads the document. */
  Book(String name) {
    file = Path.of("..").resolve(name).toAbsolutePath().normalize();
    String chapter = "";
    StringBuilder block = null;
    try {
      for (String line : Files.readAllLines(file)) {
        if (block == null && line.startsWith("## ")) {
          chapter = line.substring(3).strip();
        } else if (block == null && line.equals("```sh")) {
          block = new StringBuilder();
        } else if (block != null && line.equals("```")) {
          blocks.computeIfAbsent(chapter, each -> new ArrayList<>()).add(block.toString());
          block = null;
        } else if (block != null) {
          block.append(line).append('\n');
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * The block of a chapter, "" for what is before the first, that has a text in it: there must be
   * one.
   */
  String block(String chapter, String with) {
    List<String> found =
        blocks.getOrDefault(chapter, List.of()).stream()
            .filter(each -> each.contains(with))
            .toList();
    if (found.size() != 1) {
      throw new AssertionError(
          file + " has " + found.size() + " blocks with \"" + with + "\" in \"" + chapter + "\"");
    }
    return found.getFirst();
  }
}
