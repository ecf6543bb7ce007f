import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.PRODUCT.common.settings.Settings;
import org.PRODUCT.env.Environment;
import org.PRODUCT.http.HttpServerTransport;
import org.PRODUCT.node.InternalSettingsPreparer;
import org.PRODUCT.node.Node;
import org.PRODUCT.transport.Netty4Plugin;

/**
 * One search node on loopback, for tests. scripts/search-node puts opensearch or elasticsearch for PRODUCT: the two
 * share these classes. The node has HTTP and nothing else of what a distribution adds: no users, no TLS, no scripts.
 *
 * Arguments: the folder of the node's data, and the HTTP port, 0 for any free one. The node prints "ready PORT" when
 * it answers. It ends together with the process that started it.
 */
public final class DevNode extends Node {
    private DevNode(Environment environment) {
        super(environment, List.of(Netty4Plugin.class), false);
    }

    public static void main(String[] arguments) throws Exception {
        Path home = Path.of(arguments[0]).toAbsolutePath();
        Files.createDirectories(home.resolve("config"));
        Files.createDirectories(home.resolve("data"));
        Settings settings = Settings.builder()
            .put("path.home", home.toString())
            .put("cluster.name", "degas-test")
            .put("node.name", "one")
            .put("discovery.type", "single-node")
            .put("network.host", "127.0.0.1")
            .put("http.type", "netty4")
            .put("http.port", arguments[1])
            .put("transport.type", "netty4")
            .put("transport.port", "0")
            .put("node.store.allow_mmap", "false") // needs no vm.max_map_count
            .put("cluster.routing.allocation.disk.threshold_enabled", "false") // the disk may be nearly full
            .build();
        DevNode node = new DevNode(InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), null, () -> "one"));
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                node.close();
            } catch (Exception e) {
                e.printStackTrace();
            }
        }));
        ProcessHandle.current().parent().ifPresent(p -> p.onExit().thenRun(() -> System.exit(0)));
        node.start();
        HttpServerTransport http = node.injector().getInstance(HttpServerTransport.class);
        System.out.println("ready " + http.boundAddress().publishAddress().getPort());
        Thread.currentThread().join();
    }
}
