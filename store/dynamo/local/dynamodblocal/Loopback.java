import org.eclipse.jetty.server.Connector;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import software.amazon.dynamodb.services.local.main.ServerRunner;
import software.amazon.dynamodb.services.local.server.DynamoDBProxyServer;

/**
 * Runs DynamoDB Local on a port of the loopback interface. Its own runner binds every interface and has no option for
 * that, so the connector is changed before it starts. The first argument is the port, 0 for a free one; the rest go to
 * DynamoDB Local. Prints "listening on PORT" when requests are answered, and ends when its standard input does: with
 * whoever started it, however that one ends.
 */
public class Loopback {
  public static void main(String[] args) throws Exception {
    String[] rest = new String[args.length + 1];
    System.arraycopy(args, 1, rest, 0, args.length - 1);
    rest[args.length - 1] = "-port";
    rest[args.length] = "8000"; // it wants one; replaced below
    DynamoDBProxyServer local = ServerRunner.createServerFromCommandLineArgs(rest);
    var field = DynamoDBProxyServer.class.getDeclaredField("server");
    field.setAccessible(true);
    Server server = (Server) field.get(local);
    ServerConnector connector = null;
    for (Connector c : server.getConnectors()) {
      if (connector != null || !(c instanceof ServerConnector)) {
        throw new IllegalStateException("DynamoDB Local listens in another way than this was written for: " + c);
      }
      connector = (ServerConnector) c;
    }
    connector.setHost("127.0.0.1");
    connector.setPort(Integer.parseInt(args[0]));
    local.start();
    System.out.println("listening on " + connector.getLocalPort());
    while (System.in.read() >= 0) {
      // nobody has anything to say
    }
    System.exit(0);
  }
}
