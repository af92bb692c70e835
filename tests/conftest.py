pytest_plugins = ["tests.servers.fixtures", "tests.servers.chat_image"]
