"""What is a stream by nature: files and live logs, blocking and awaited."""
