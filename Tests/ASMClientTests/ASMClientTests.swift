// ASMClientTests
