package io.harikube.cli;

import ch.qos.logback.classic.LoggerContext;
import ch.qos.logback.classic.joran.JoranConfigurator;
import ch.qos.logback.core.joran.spi.JoranException;
import java.net.URL;
import java.util.logging.Formatter;
import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogManager;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import java.util.logging.SimpleFormatter;
import org.slf4j.LoggerFactory;

/** Sets the form and the level of the log, as the command line has it. */
final class Logging {

  /** The forms of the log. */
  enum Format {
    plain,
    json
  }

  private Logging() {}

  static void configure(Format format, boolean debug) {
    LoggerContext context = (LoggerContext) LoggerFactory.getILoggerFactory();
    URL file = Logging.class.getResource("/logback.xml");
    if (file == null) {
      throw new IllegalStateException("logback.xml is not there");
    }
    context.reset();
    context.putProperty("harikube.log.format", format.name());
    context.putProperty("harikube.log.level", debug ? "DEBUG" : "INFO");
    JoranConfigurator configurator = new JoranConfigurator();
    configurator.setContext(context);
    try {
      configurator.doConfigure(file);
    } catch (JoranException e) {
      throw new IllegalStateException("logback.xml is malformed", e);
    }
    // gRPC and pgjdbc log by the JDK's means.
    Logger root = LogManager.getLogManager().getLogger("");
    for (Handler handler : root.getHandlers()) {
      root.removeHandler(handler);
    }
    root.addHandler(new Forwarder(debug));
  }

  /**
   * Hands what is logged by the JDK's means to SLF4J. What gRPC says of a client's request is one
   * line: where in gRPC a request was found malformed helps nobody.
   */
  private static final class Forwarder extends Handler {
    private static final Formatter TEXT = new SimpleFormatter();

    private final boolean traces;

    Forwarder(boolean traces) {
      this.traces = traces;
    }

    @Override
    public void publish(LogRecord entry) {
      org.slf4j.Logger log =
          LoggerFactory.getLogger(entry.getLoggerName() == null ? "jdk" : entry.getLoggerName());
      int level = entry.getLevel().intValue();
      Throwable thrown = traces ? entry.getThrown() : null;
      String text = TEXT.formatMessage(entry);
      if (thrown == null && entry.getThrown() != null) {
        text = (text + ": " + entry.getThrown()).replaceAll("\\s*\\R\\s*", " ");
      }
      // Not by SLF4J's builders, which pass by the filter of repetitions.
      if (level >= Level.SEVERE.intValue()) {
        log.error(text, thrown);
      } else if (level >= Level.WARNING.intValue()) {
        log.warn(text, thrown);
      } else if (level >= Level.INFO.intValue()) {
        log.info(text, thrown);
      } else {
        log.debug(text, thrown);
      }
    }

    @Override
    public void flush() {}

    @Override
    public void close() {}
  }
}
