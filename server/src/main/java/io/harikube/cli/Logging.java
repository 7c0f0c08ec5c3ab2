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
    root.addHandler(new Forwarder());
  }

  /** Hands what is logged by the JDK's means to SLF4J. */
  private static final class Forwarder extends Handler {
    private static final Formatter TEXT = new SimpleFormatter();

    @Override
    public void publish(LogRecord entry) {
      String name = entry.getLoggerName() == null ? "jdk" : entry.getLoggerName();
      LoggerFactory.getLogger(name)
          .atLevel(level(entry.getLevel().intValue()))
          .setCause(entry.getThrown())
          .log(TEXT.formatMessage(entry));
    }

    private static org.slf4j.event.Level level(int jdk) {
      if (jdk >= Level.SEVERE.intValue()) {
        return org.slf4j.event.Level.ERROR;
      }
      if (jdk >= Level.WARNING.intValue()) {
        return org.slf4j.event.Level.WARN;
      }
      return jdk >= Level.INFO.intValue()
          ? org.slf4j.event.Level.INFO
          : org.slf4j.event.Level.DEBUG;
    }

    @Override
    public void flush() {}

    @Override
    public void close() {}
  }
}
