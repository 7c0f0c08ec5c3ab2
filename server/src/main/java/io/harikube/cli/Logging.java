package io.harikube.cli;

import ch.qos.logback.classic.LoggerContext;
import ch.qos.logback.classic.joran.JoranConfigurator;
import ch.qos.logback.core.joran.spi.JoranException;
import java.net.URL;
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
  }
}
