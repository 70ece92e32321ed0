const search = document.getElementById('search');
const before = performance.now();
search.value = 'layers_1999_ relu'; search.dispatchEvent(new Event('input'));
const count = document.getElementById('count').textContent;
const rows = document.querySelectorAll('.row').length;
document.body.dataset.result = [count, rows, picture.state().nodes].join(';');
document.body.dataset.times = [before, performance.now() - before].join(';');
