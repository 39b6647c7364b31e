// Calls made before the collector script has loaded wait here, in order.
window.datafly = window.datafly || function () { (datafly.q = datafly.q || []).push(arguments); };
