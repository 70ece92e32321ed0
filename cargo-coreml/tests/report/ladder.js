const circles = [...document.querySelectorAll('#ladder circle')];
const classes = circles.map((circle) => circle.getAttribute('class'));
const rows = document.querySelectorAll('#ladder tbody tr').length;
document.body.dataset.result = classes.join() + rows;
